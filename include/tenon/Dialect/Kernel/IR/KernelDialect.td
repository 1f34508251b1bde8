#ifndef TENON_DIALECT_KERNEL_IR_KERNELDIALECT_TD
#define TENON_DIALECT_KERNEL_IR_KERNELDIALECT_TD

include "mlir/IR/OpBase.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::tenon::kernel";
  let summary = "How one computation runs: a fused region and its schedule";
  let description = [{
    A `kernel.region` is what will run as one launch. Its body is linalg on
    tensors; its schedule says how that body is tiled for the target.
  }];
  let useDefaultAttributePrinterParser = 1;
}

// A 64-bit integer whose accessor is signed.
def Kernel_I64Attr : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer">;

#endif // TENON_DIALECT_KERNEL_IR_KERNELDIALECT_TD
