#ifndef TENON_DIALECT_KERNEL_TRANSFORMS_PASSES_TD
#define TENON_DIALECT_KERNEL_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def CountFactsPass : Pass<"kernel-count-facts", "::mlir::func::FuncOp"> {
  let summary = "Write on every region what it costs";
  let description = [{
    Floating point operations and compulsory bytes, as text over the model's
    symbols; `Analysis/KernelFacts.h` says what is counted. They go with the
    region to the launch and into the artifact. A region whose sizes depend on
    data gets none. The function gets the sums, if all are known. How many of the
    operations are multiply-adds of products, and of these of bf16 and of bytes,
    stands in `tenon.product_flops`, `tenon.bf16_flops` and `tenon.int8_ops`,
    instructions beside products in `tenon.steps`. `tenon.kind` says what a region is, `tenon.layer` to which
    layer of the model the names of its nodes put it.

    Before:

    ```mlir
    %n = kernel.symbol "n" range 0 to 512
    %0 = kernel.region "softmax" inputs(%x : tensor<?x8xf32>) indices() sizes(%n) -> tensor<?x8xf32> {
    ^bb0(%a: tensor<?x8xf32>):
      %1 = kernel.softmax %a : tensor<?x8xf32> -> tensor<?x8xf32>
      kernel.yield %1 : tensor<?x8xf32>
    }
    ```

    After:

    ```mlir
    %n = kernel.symbol "n" range 0 to 512
    %0 = kernel.region "softmax" inputs(%x : tensor<?x8xf32>) indices() sizes(%n)
         attributes {tenon.flops = "40*n", tenon.kind = "norm", tenon.read_bytes = "32*n", tenon.steps = "152*n", tenon.written_bytes = "32*n"} -> tensor<?x8xf32> {
    ^bb0(%a: tensor<?x8xf32>):
      %1 = kernel.softmax %a : tensor<?x8xf32> -> tensor<?x8xf32>
      kernel.yield %1 : tensor<?x8xf32>
    }
    ```
  }];
}

def CountUnfusedPass : Pass<"kernel-count-unfused", "::mlir::func::FuncOp"> {
  let summary = "Write on the function what its regions cost before fusion";
  let description = [{
    Regions and compulsory bytes of each layer of the model, as it is with each
    operation of the graph in a region of its own: what fusion is compared with.
    Where a size depends on data, or a region stands in a branch or loop, there is
    nothing to compare with and nothing is written.

    Before:

    ```mlir
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = kernel.region "copy" inputs(%x : tensor<4xf32>) indices() sizes() -> tensor<4xf32> {
      ^bb0(%a: tensor<4xf32>):
        kernel.yield %a : tensor<4xf32>
      }
      return %0 : tensor<4xf32>
    }
    ```

    After:

    ```mlir
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32>
        attributes {tenon.unfused = [{launches = 1, layer = "", read_bytes = "16", written_bytes = "16"} ]} {
      %0 = kernel.region "copy" inputs(%x : tensor<4xf32>) indices() sizes() -> tensor<4xf32> {
      ^bb0(%a: tensor<4xf32>):
        kernel.yield %a : tensor<4xf32>
      }
      return %0 : tensor<4xf32>
    }
    ```
  }];
}

def FuseRegionsPass : Pass<"kernel-fuse-regions"> {
  let summary = "Merge regions so that fewer values go through memory";
  let description = [{
    A region whose result is read once joins its reader: elementwise bodies
    become one, an elementwise body behind a `kernel.contract` its epilogue, a
    transpose a flag of the contract or a layout of the attention beside it. A
    slice that attention, a cache or a loop over elements would read behind a copy is
    read where it lies, as a `tensor.extract_slice` of the region's input.

    Before:

    ```mlir
    %0 = kernel.region "matmul" inputs(%x, %w : tensor<4x8xf32>, tensor<8x16xf32>) indices() sizes() -> tensor<4x16xf32> {
    ^bb0(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>):
      %2 = kernel.contract %a, %b : tensor<4x8xf32>, tensor<8x16xf32> -> tensor<4x16xf32>
      kernel.yield %2 : tensor<4x16xf32>
    }
    %1 = kernel.region "neg" inputs(%0 : tensor<4x16xf32>) indices() sizes() -> tensor<4x16xf32> {
    ^bb0(%a: tensor<4x16xf32>):
      %2 = tensor.empty() : tensor<4x16xf32>
      %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x16xf32>) outs(%2 : tensor<4x16xf32>) {
      ^bb0(%c: f32, %d: f32):
        %4 = arith.negf %c : f32
        linalg.yield %4 : f32
      } -> tensor<4x16xf32>
      kernel.yield %3 : tensor<4x16xf32>
    }
    ```

    After:

    ```mlir
    %1 = kernel.region "matmul_neg" inputs(%x, %w : tensor<4x8xf32>, tensor<8x16xf32>) indices() sizes() -> tensor<4x16xf32> {
    ^bb0(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>):
      %2 = kernel.contract %a, %b : tensor<4x8xf32>, tensor<8x16xf32> -> tensor<4x16xf32>
      %3 = tensor.empty() : tensor<4x16xf32>
      %4 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<4x16xf32>) outs(%3 : tensor<4x16xf32>) {
      ^bb0(%c: f32, %d: f32):
        %5 = arith.negf %c : f32
        linalg.yield %5 : f32
      } -> tensor<4x16xf32>
      kernel.yield %4 : tensor<4x16xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def ScheduleRegionsPass : Pass<"kernel-schedule-regions", "::mlir::ModuleOp"> {
  let summary = "Give every region its loops, by the first family that takes it";
  let description = [{
    Before:

    ```mlir
    %0 = kernel.region "softmax" inputs(%x : tensor<4x8xf32>) indices() sizes() -> tensor<4x8xf32> {
    ^bb0(%a: tensor<4x8xf32>):
      %1 = kernel.softmax %a : tensor<4x8xf32> -> tensor<4x8xf32>
      kernel.yield %1 : tensor<4x8xf32>
    }
    ```

    After, the region has a schedule and a grid, here of four rows, and a body on
    memrefs; see `kernel.region`.
  }];
  let options = [Option<"target", "target", "std::string", "\"x86-64-v4\"",
                        "What to schedule for: a target, a machine, or a facts file">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::gpu::GPUDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect", "::tenon::kernel::KernelDialect",
    "::mlir::vector::VectorDialect"
  ];
}

def SimplifyBodiesPass : Pass<"kernel-simplify-bodies", "::mlir::ModuleOp"> {
  let summary = "Canonicalize scheduled regions, equal bodies once";
  let description = [{
    Does what the canonicalizer does. The layers of a model have regions with
    equal bodies, whose canonical form is equal too: it is made once and copied.

    Before:

    ```mlir
    %0 = kernel.region "fill" inputs() indices() sizes() grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
    ^bb0(%out: memref<4xf32>, %begin: index, %end: index):
      %c0 = arith.constant 0 : index
      %i = arith.addi %begin, %c0 : index
      %zero = arith.constant 0.0 : f32
      memref.store %zero, %out[%i] : memref<4xf32>
      kernel.yield
    }
    ```

    After:

    ```mlir
    %0 = kernel.region "fill" inputs() indices() sizes() grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
    ^bb0(%out: memref<4xf32>, %begin: index, %end: index):
      %zero = arith.constant 0.0 : f32
      memref.store %zero, %out[%begin] : memref<4xf32>
      kernel.yield
    }
    ```
  }];
}

#endif // TENON_DIALECT_KERNEL_TRANSFORMS_PASSES_TD
