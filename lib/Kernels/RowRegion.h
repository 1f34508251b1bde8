// Regions that are one softmax or norm over rows.
#ifndef TENON_LIB_KERNELS_ROWREGION_H
#define TENON_LIB_KERNELS_ROWREGION_H

#include "tenon/Dialect/Kernel/IR/KernelOps.h"

namespace tenon {

/// The kernel.softmax or kernel.norm on floats of up to 32 bits that is all of
/// a region's body, or null.
mlir::Operation *findRowAnchor(kernel::RegionOp region);

} // namespace tenon

#endif // TENON_LIB_KERNELS_ROWREGION_H
