/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "quota.h"
#include "guest/settings.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* linux/quota.h, which does not go together with sys/quota.h. */
enum { PROJECT_QUOTA = 2 };

/* Numbers that people choose for projects are small. */
static const uint32_t first_project = UINT32_C (1) << 30;

static int project_of (struct guest *guest, uint32_t *ret_project, struct err *err)
{
  struct stat st;

  if (fstat (guest->fd, &st) < 0)
    return err_errno (err, "stat guests/%s", guest->name);
  *ret_project = first_project + (uint32_t) (st.st_ino % first_project);
  return 0;
}

static int control (struct vroot *root, unsigned command, uint32_t project, void *data)
{
  return (int) syscall (SYS_quotactl_fd, root->fd, QCMD (command, PROJECT_QUOTA), project, data);
}

int quota_probe (struct vroot *root, struct err *err)
{
  struct dqblk limits = {0};

  /* A project that nothing belongs to yet has no record: ENOENT. */
  if (control (root, (unsigned) Q_GETQUOTA, first_project, &limits) == 0 || errno == ENOENT)
    return 0;
  const char *why = strerror (errno);
  return err_code (err, EOPNOTSUPP,
                   "the file system of %s has no project quota (%s): mount it with the option "
                   "prjquota, where file system and kernel have it, or do without disk.hard_limit",
                   root->path, why);
}

static int limit_project (struct vroot *root, uint32_t project, uint64_t bytes, struct err *err)
{
  const uint64_t unit = 1024;
  struct dqblk limits = {.dqb_bhardlimit = bytes / unit, .dqb_valid = QIF_BLIMITS};

  if (control (root, (unsigned) Q_SETQUOTA, project, &limits) < 0)
    return err_errno (err, "limit the project %lu of %s", (unsigned long) project, root->path);
  return 0;
}

/* Returns 1 when it had another project before, 0 when this one. */
static int join_project (int fd, uint32_t project, bool directory, struct err *err)
{
  struct fsxattr attributes;

  if (ioctl (fd, FS_IOC_FSGETXATTR, &attributes) < 0)
    return err_errno (err, "ask for the project of a file");
  if (attributes.fsx_projid == project)
    return 0;
  attributes.fsx_projid = project;
  if (directory)
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (ioctl (fd, FS_IOC_FSSETXATTR, &attributes) < 0)
    return err_errno (err, "give a file a project");
  return 1;
}

/* All that lies in the directory, then the directory itself: so that one that was not finished is
 * begun again. Files that are neither regular nor directories take no blocks. */
static int join_all (int fd, uint32_t project, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];
    bool directory = entry->type == DT_DIR;

    if (!directory && entry->type != DT_REG)
      continue;
    autoclose int child =
        fd_open (fd, entry->name, O_RDONLY | O_NONBLOCK | (directory ? O_DIRECTORY : 0), 0);
    int ret = child < 0   ? err_errno (err, "open it")
              : directory ? join_all (child, project, err)
                          : join_project (child, project, false, err);
    if (ret < 0)
      return err_wrap (err, "%s", entry->name);
  }
  return join_project (fd, project, true, err);
}

static int join_layer (struct guest *guest, const char *layer, uint32_t project, struct err *err)
{
  struct fsxattr attributes;
  autoclose int fd = fd_open_dir_beneath (guest->fd, layer);

  if (fd < 0 && errno == ENOENT)
    return 0;
  if (fd < 0 || ioctl (fd, FS_IOC_FSGETXATTR, &attributes) < 0)
    return err_errno (err, "look at %s of guest %s", layer, guest->name);
  if (attributes.fsx_projid != project && join_all (fd, project, err) < 0)
    return err_wrap (err, "%s of guest %s", layer, guest->name);
  return 0;
}

/* Had it a limit that is set no more? Where that cannot be told, none. */
static bool is_member (struct guest *guest, uint32_t project)
{
  struct fsxattr attributes;
  autoclose int fd = fd_open_dir (guest->fd, "private");

  return fd >= 0 && ioctl (fd, FS_IOC_FSGETXATTR, &attributes) == 0 &&
         attributes.fsx_projid == project;
}

int quota_apply (struct vroot *root, struct guest *guest, struct err *err)
{
  static const char *const layers[] = {"private", "work", "txn/upper", "txn/work", NULL};
  autosettings struct settings settings = {0};
  uint32_t project = 0;

  if (settings_parse (guest->config, guest->name, &settings, err) < 0 ||
      project_of (guest, &project, err) < 0)
    return -err->code;
  if (settings.disk_hard_bytes < 0)
    return is_member (guest, project) ? limit_project (root, project, 0, err) : 0;
  if (quota_probe (root, err) < 0)
    return err_wrap (err, "guest %s: disk.hard_limit", guest->name);
  for (const char *const *layer = layers; *layer; layer++)
    if (join_layer (guest, *layer, project, err) < 0)
      return -err->code;
  return limit_project (root, project, (uint64_t) settings.disk_hard_bytes, err);
}
