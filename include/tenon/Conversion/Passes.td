#ifndef TENON_CONVERSION_PASSES_TD
#define TENON_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertGraphToKernelPass : Pass<"convert-graph-to-kernel", "::mlir::ModuleOp"> {
  let summary = "Give every computation of the graph a region of its own";
  let description = [{
    Wants sizes as `arith` over `graph.symbol`. A matrix that is read only as
    the right side of products is laid out in panels. A body takes the sizes of
    its results as indices, and splat constants as scalars. Two sizes that
    broadcast against each other are taken to be equal unless one is the static
    1; where they are different values a `kernel.assume_equal` says so.

    Before:

    ```mlir
    func.func @main(%x: tensor<?xf32> {tenon.name = "x", tenon.dims = ["n"]}) -> (tensor<?xf32> {tenon.name = "y"}) {
      %n = graph.symbol "n" range 0 to 512
      %0 = graph.neg %x : tensor<?xf32> -> tensor<?xf32>
      return %0 : tensor<?xf32>
    }
    ```

    After:

    ```mlir
    func.func @main(%x: tensor<?xf32> {tenon.name = "x", tenon.dims = ["n"]}) -> (tensor<?xf32> {tenon.name = "y"}) {
      %n = kernel.symbol "n" range 0 to 512
      %0 = kernel.region "neg" inputs(%x : tensor<?xf32>) indices(%n) sizes(%n) -> tensor<?xf32> {
      ^bb0(%in: tensor<?xf32>, %size: index):
        %1 = tensor.empty(%size) : tensor<?xf32>
        %2 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%in : tensor<?xf32>) outs(%1 : tensor<?xf32>) {
        ^bb0(%a: f32, %b: f32):
          %3 = arith.negf %a : f32
          linalg.yield %3 : f32
        } -> tensor<?xf32>
        kernel.yield %2 : tensor<?xf32>
      }
      return %0 : tensor<?xf32>
    }
    ```
  }];
  let dependentDialects = ["::tenon::kernel::KernelDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def ConvertKernelToPlanPass : Pass<"convert-kernel-to-plan", "::mlir::ModuleOp"> {
  let summary = "Turn regions on tensors into launches on buffers";
  let description = [{
    Wants every region scheduled. Each becomes a function of its own, shared by
    regions with equal bodies, and a launch; its results become slices of the
    arena, or outputs where the model returns them. Weights get their positions
    in the artifact, in the order in which launches first read them.

    Before:

    ```mlir
    func.func @main(%x: tensor<?xf32> {tenon.name = "x", tenon.dims = ["n"]}) -> (tensor<?xf32> {tenon.name = "y"}) {
      %n = kernel.symbol "n" range 0 to 512
      %0 = kernel.region "copy" inputs(%x : tensor<?xf32>) indices() sizes(%n) grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<?xf32> {
      ^bb0(%in: memref<?xf32>, %out: memref<?xf32>, %begin: index, %end: index):
        %1 = memref.load %in[%begin] : memref<?xf32>
        memref.store %1, %out[%begin] : memref<?xf32>
        kernel.yield
      }
      return %0 : tensor<?xf32>
    }
    ```

    After:

    ```mlir
    func.func private @copy_0(%in: memref<?xf32>, %out: memref<?xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
      %1 = memref.load %in[%begin] : memref<?xf32>
      memref.store %1, %out[%begin] : memref<?xf32>
      return
    }
    func.func @main(%x: memref<?xf32> {tenon.name = "x", tenon.dims = ["n"]}, %y: memref<?xf32> {tenon.output, tenon.name = "y"}) {
      %n = plan.symbol "n" range 0 to 512
      plan.launch @copy_0 grid(%n) buffers(%x, %y : memref<?xf32>, memref<?xf32>) indices()
      plan.output %y sizes(%n) : memref<?xf32>
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::tenon::plan::PlanDialect"];
}

def ConvertPlanToLLVMPass : Pass<"convert-plan-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Turn the plan into the functions that the runtime calls";
  let description = [{
    `@main` becomes `tenon_sizes` and `tenon_run`; a kernel takes pointers and
    rebuilds its buffers, whose bodies stay as they are. The names and sizes of
    inputs and outputs become text, as include/tenon-c/ModuleAbi.h says.

    Before:

    ```mlir
    func.func @main(%y: memref<?xf32> {tenon.output, tenon.name = "y"}) {
      %n = plan.symbol "n" range 0 to 512
      plan.output %y sizes(%n) : memref<?xf32>
      return
    }
    ```

    After:

    ```mlir
    llvm.func @tenon_sizes(%symbols: !llvm.ptr, %sizes: !llvm.ptr, %arena: !llvm.ptr) -> i64 {
      %n = llvm.load %symbols : !llvm.ptr -> i64
      %zero = llvm.mlir.constant(0 : i64) : i64
      llvm.store %n, %sizes : i64, !llvm.ptr
      llvm.store %zero, %arena : i64, !llvm.ptr
      llvm.return %zero : i64
    }
    llvm.func @tenon_run(%frame: !llvm.ptr) {
      llvm.return
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

#endif // TENON_CONVERSION_PASSES_TD
