// The smallest target: what a new one starts from. See
// docs/guides/add-a-target.md.
#ifndef TENON_TARGET_SKELETON_SKELETONTARGET_H
#define TENON_TARGET_SKELETON_SKELETONTARGET_H

#include "tenon/Target/Interface/Target.h"

namespace tenon {

/// Writes a plan as text. Not in the table of targets: nobody wants it.
const Target &skeletonTarget();

} // namespace tenon

#endif // TENON_TARGET_SKELETON_SKELETONTARGET_H
