// NVIDIA's GPUs: kernels as PTX text, run by the driver through the runtime.
#ifndef TENON_TARGET_NVPTX_NVPTXTARGET_H
#define TENON_TARGET_NVPTX_NVPTXTARGET_H

#include "tenon/Target/Interface/Target.h"

namespace tenon {

const Target &nvptxTarget();

} // namespace tenon

#endif // TENON_TARGET_NVPTX_NVPTXTARGET_H
