#ifndef TENON_DIALECT_PLAN_IR_PLANDIALECT_TD
#define TENON_DIALECT_PLAN_IR_PLANDIALECT_TD

include "mlir/IR/OpBase.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::tenon::plan";
  let summary = "When and where: which buffers, which launches, in which order";
  let description = [{
    A function of `plan` ops is the program the machine follows. Memory is one
    arena; every buffer is a slice of it, at an offset fixed when compiling.
  }];
}

// A 64-bit integer whose accessor is signed.
def Plan_I64Attr : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer">;

#endif // TENON_DIALECT_PLAN_IR_PLANDIALECT_TD
