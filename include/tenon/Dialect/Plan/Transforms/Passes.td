#ifndef TENON_DIALECT_PLAN_TRANSFORMS_PASSES_TD
#define TENON_DIALECT_PLAN_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def AssignOffsetsPass : Pass<"plan-assign-offsets", "::mlir::ModuleOp"> {
  let summary = "Decide which slices of the arena lie below which";
  let description = [{
    Packs the slices of each function for the sizes its symbols hint at (128
    where there is no hint, clamped to the range), and records of the packing
    what holds for all sizes: which of the slices alive at one time lie below
    which. Buffers so never overlap, whatever the sizes are.

    A buffer lives from its first to its last use. One that only ops in one body
    use lives in each iteration anew, so the bodies of a branch share their place;
    one that is also used outside a loop lives as long as the loop runs. What the
    next iteration reads must therefore be used outside the loop too, as the copy
    that starts a carried value does. All launches of a section run at one step,
    so what any of them uses lies apart.

    `tenon.arena_hint_bytes` is the height of the arena at the hinted sizes and
    `tenon.arena_lower_bound` the most bytes alive at one time, which no packing
    is below. For whoever reports on the arena or checks it, `tenon.step` counts
    the ops before a launch, a copy or a read, and `tenon.alive` on a slice says
    from which step to which it is used.

    Before:

    ```mlir
    func.func private @copy_0(memref<?xf32>, memref<?xf32>, index, index) attributes {tenon.kernel}
    func.func @main() {
      %n = plan.symbol "n" range 1 to 512 hint 16
      %0 = plan.alloc sizes(%n) : memref<?xf32>
      %1 = plan.alloc sizes(%n) : memref<?xf32>
      plan.launch @copy_0 grid(%n) buffers(%0, %1 : memref<?xf32>, memref<?xf32>) indices()
      return
    }
    ```

    After:

    ```mlir
    func.func private @copy_0(memref<?xf32>, memref<?xf32>, index, index) attributes {tenon.kernel}
    func.func @main() attributes {tenon.arena_hint_bytes = 128 : i64, tenon.arena_lower_bound = 128 : i64} {
      %n = plan.symbol "n" range 1 to 512 hint 16
      %0 = plan.alloc 0 below [] sizes(%n) : memref<?xf32>
      %1 = plan.alloc 1 below [0] sizes(%n) : memref<?xf32>
      plan.launch @copy_0 grid(%n) buffers(%0, %1 : memref<?xf32>, memref<?xf32>) indices()
      return
    }
    ```
  }];
}

def GroupLaunchesPass : Pass<"plan-group-launches", "::mlir::ModuleOp"> {
  let summary = "Let launches that follow each other and are independent run at the same time";
  let description = [{
    Launches between which nothing but slices, views, constants and sizes stands
    become one `plan.section`, as far as none reads or writes what another of them
    writes, and at most 16. Nothing changes its place. A launch that stays alone
    stays as it is.

    Before:

    ```mlir
    func.func private @add_0(memref<4xf32>, memref<4xf32>, index, index) attributes {tenon.kernel}
    func.func @main(%x: memref<4xf32>, %y: memref<4xf32>, %z: memref<4xf32>) {
      %one = arith.constant 1 : index
      plan.launch @add_0 grid(%one) buffers(%x, %y : memref<4xf32>, memref<4xf32>) indices() {tenon.results = 1}
      plan.launch @add_0 grid(%one) buffers(%x, %z : memref<4xf32>, memref<4xf32>) indices() {tenon.results = 1}
      return
    }
    ```

    After:

    ```mlir
    func.func private @add_0(memref<4xf32>, memref<4xf32>, index, index) attributes {tenon.kernel}
    func.func @main(%x: memref<4xf32>, %y: memref<4xf32>, %z: memref<4xf32>) {
      %one = arith.constant 1 : index
      plan.section {
        plan.launch @add_0 grid(%one) buffers(%x, %y : memref<4xf32>, memref<4xf32>) indices() {tenon.results = 1}
        plan.launch @add_0 grid(%one) buffers(%x, %z : memref<4xf32>, memref<4xf32>) indices() {tenon.results = 1}
      }
      return
    }
    ```
  }];
}

def NameKernelsPass : Pass<"plan-name-kernels", "::mlir::ModuleOp"> {
  let summary = "Name kernels after the ONNX nodes that they compute";
  let description = [{
    A kernel's name is that of its symbol in the artifact, which profilers and
    debuggers show. Behind the plain name, which stays in `tenon.kernel`, comes
    the node that the first of its launches computes last (`tenon.id`), made an
    identifier, its last 64 characters at most, and how many more launches there
    are. Without an id the plain name stays.

    Before:

    ```mlir
    func.func private @copy_0(memref<4xf32>, index, index) attributes {tenon.kernel}
    func.func @main(%x: memref<4xf32>, %y: memref<4xf32>) {
      %one = arith.constant 1 : index
      plan.launch @copy_0 grid(%one) buffers(%x : memref<4xf32>) indices() {tenon.id = "/layer.0/Identity"}
      plan.launch @copy_0 grid(%one) buffers(%y : memref<4xf32>) indices() {tenon.id = "/layer.1/Identity"}
      return
    }
    ```

    After:

    ```mlir
    func.func private @copy_0__layer_0_Identity__and_1_more(memref<4xf32>, index, index) attributes {tenon.kernel = "copy_0"}
    func.func @main(%x: memref<4xf32>, %y: memref<4xf32>) {
      %one = arith.constant 1 : index
      plan.launch @copy_0__layer_0_Identity__and_1_more grid(%one) buffers(%x : memref<4xf32>) indices() {tenon.id = "/layer.0/Identity"}
      plan.launch @copy_0__layer_0_Identity__and_1_more grid(%one) buffers(%y : memref<4xf32>) indices() {tenon.id = "/layer.1/Identity"}
      return
    }
    ```
  }];
}

#endif // TENON_DIALECT_PLAN_TRANSFORMS_PASSES_TD
