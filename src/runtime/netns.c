/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netns.h"
#include "network.h"
#include "util/fd.h"
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

/* What is done in a new namespace, by a thread that ends with it: the process stays where it is. */
struct visit {
  int (*work) (void *data, struct err *err);
  void *data;
  int ret;
  struct err *err;
};

static void *visit_thread (void *data)
{
  struct visit *visit = data;

  if (unshare (CLONE_NEWNET) < 0)
    visit->ret = err_errno (visit->err, "make a network namespace");
  else
    visit->ret = visit->work (visit->data, visit->err);
  return NULL;
}

static int visit_new_namespace (int (*work) (void *data, struct err *err), void *data,
                                struct err *err)
{
  struct visit visit = {work, data, 0, err};
  pthread_t thread;
  int code = pthread_create (&thread, NULL, visit_thread, &visit);

  if (code)
    return err_code (err, code, "start a thread: %s", strerror (code));
  pthread_join (thread, NULL);
  return visit.ret;
}

static int bring_up (const char *name, struct err *err)
{
  autoclose int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {.ifr_flags = IFF_UP};

  snprintf (request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (fd < 0 || ioctl (fd, SIOCSIFFLAGS, &request) < 0)
    return err_errno (err, "bring up %s of the network namespace", name);
  return 0;
}

static int bind_here (void *data, struct err *err)
{
  const char *path = data;

  if (bring_up ("lo", err) < 0)
    return -err->code;
  if (mount ("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL) < 0)
    return err_errno (err, "bind the network namespace on %s", path);
  return 0;
}

int network_make_namespace (const char *path, struct err *err)
{
  autoclose int fd = open (path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0)
    return err_errno (err, "create %s", path);
  return visit_new_namespace (bind_here, (void *) path, err);
}

/* A netlink request with its attributes. */
struct request {
  struct nlmsghdr header;
  union {
    struct ifinfomsg link;
    struct ifaddrmsg address;
    char space[256];
  } body;
};

static struct rtattr *add_attribute (struct request *request, unsigned short type, const void *data,
                                     size_t len)
{
  size_t at = NLMSG_ALIGN (request->header.nlmsg_len), end = at + RTA_SPACE (len);
  struct rtattr *attribute = (struct rtattr *) (void *) ((char *) request + at);

  if (end > sizeof *request)
    return NULL;
  attribute->rta_type = type;
  attribute->rta_len = (unsigned short) RTA_LENGTH (len);
  if (len)
    memcpy (RTA_DATA (attribute), data, len);
  request->header.nlmsg_len = (unsigned) end;
  return attribute;
}

/* Sends it and waits for the kernel's answer. */
static int transact (int fd, struct request *request, const char *what, struct err *err)
{
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[1024];
  } answer;

  request->header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  if (send (fd, request, request->header.nlmsg_len, 0) < 0)
    return err_errno (err, "%s", what);
  ssize_t n = recv (fd, &answer, sizeof answer, 0);
  if (n < 0)
    return err_errno (err, "%s", what);
  if ((size_t) n < sizeof answer.header + sizeof answer.error ||
      answer.header.nlmsg_type != NLMSG_ERROR)
    return err_code (err, EPROTO, "%s: the kernel gave no answer", what);
  if (answer.error.error) {
    errno = -answer.error.error;
    return err_errno (err, "%s", what);
  }
  return 0;
}

static int make_link (int fd, const char *name, struct err *err)
{
  static const char kind[] = "veth";
  struct request request = {
      .header = {.nlmsg_len = NLMSG_LENGTH (sizeof request.body.link),
                 .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL},
      .body.link = {.ifi_family = AF_UNSPEC},
  };

  add_attribute (&request, IFLA_IFNAME, name, strlen (name) + 1);
  struct rtattr *info = add_attribute (&request, IFLA_LINKINFO, NULL, 0);
  if (!info || !add_attribute (&request, IFLA_INFO_KIND, kind, sizeof kind - 1))
    return err_code (err, EMSGSIZE, "make a device: the name %s is too long", name);
  info->rta_len =
      (unsigned short) (request.header.nlmsg_len - (size_t) ((char *) info - (char *) &request));
  return transact (fd, &request, "make a device", err);
}

static int add_address (int fd, unsigned index, const char *text, struct err *err)
{
  const char *slash = strchr (text, '/');
  autofree char *address = slash ? xstrndup (text, (size_t) (slash - text)) : xstrdup (text);
  int family = strchr (address, ':') ? AF_INET6 : AF_INET;
  struct request request = {
      .header = {.nlmsg_len = NLMSG_LENGTH (sizeof request.body.address),
                 .nlmsg_type = RTM_NEWADDR,
                 .nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE},
      .body.address = {.ifa_family = (unsigned char) family,
                       .ifa_flags = IFA_F_NODAD,
                       .ifa_index = index},
  };
  struct in6_addr bytes;
  size_t len = family == AF_INET ? sizeof (struct in_addr) : sizeof bytes;

  if (!slash || inet_pton (family, address, &bytes) != 1)
    return err_code (err, EINVAL, "\"%s\" is no address", text);
  request.body.address.ifa_prefixlen = (unsigned char) strtoul (slash + 1, NULL, 10);
  add_attribute (&request, IFA_LOCAL, &bytes, len);
  add_attribute (&request, IFA_ADDRESS, &bytes, len);
  return transact (fd, &request, "add an address", err);
}

struct stand_in {
  const char *name;
  json_object *addresses;
  int fd;
};

static int furnish (void *data, struct err *err)
{
  struct stand_in *stand_in = data;
  autoclose int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  unsigned index;

  stand_in->fd = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (stand_in->fd < 0)
    return err_errno (err, "open the network namespace");
  if (fd < 0)
    return err_errno (err, "open a netlink socket");
  if (make_link (fd, stand_in->name, err) < 0)
    return -err->code;
  index = if_nametoindex (stand_in->name);
  if (!index)
    return err_errno (err, "find the device %s", stand_in->name);
  for (size_t i = 0; i < json_object_array_length (stand_in->addresses); i++) {
    json_object *address = json_object_array_get_idx (stand_in->addresses, i);

    if (add_address (fd, index, json_object_get_string (address), err) < 0)
      return -err->code;
  }
  return 0;
}

int netns_make_stand_in (const char *name, json_object *addresses, int *ret_fd, struct err *err)
{
  struct stand_in stand_in = {name, addresses, -1};

  if (strlen (name) >= IFNAMSIZ)
    return err_code (err, EINVAL, "\"%s\" is too long for the name of a device", name);
  if (visit_new_namespace (furnish, &stand_in, err) < 0) {
    cleanup_close (&stand_in.fd);
    return err_wrap (err, "make a stand-in for the guest's network namespace");
  }
  *ret_fd = stand_in.fd;
  return 0;
}
