// The kernel dialect: how one computation runs, as a region and its schedule.
#ifndef TENON_DIALECT_KERNEL_IR_KERNELOPS_H
#define TENON_DIALECT_KERNEL_IR_KERNELOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "tenon/Dialect/Kernel/IR/KernelOpsDialect.h.inc"

#include "tenon/Dialect/Kernel/IR/KernelOpsEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "tenon/Dialect/Kernel/IR/KernelOpsAttributes.h.inc"

#define GET_OP_CLASSES
#include "tenon/Dialect/Kernel/IR/KernelOps.h.inc"

namespace tenon::kernel {

/// Elements of a column that a layout keeps next to each other.
int64_t groupOf(LayoutKind layout);

} // namespace tenon::kernel

#endif // TENON_DIALECT_KERNEL_IR_KERNELOPS_H
