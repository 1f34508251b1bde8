// RUN: tenon-opt %s --split-input-file --verify-diagnostics

func.func @dynamic_source() {
  // expected-error@+1 {{has source 'tensor<?xf32>', which is no static tensor}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<?xf32> layout rows : tensor<4xf32>
  return
}

// -----

func.func @panels_of_a_vector() {
  // expected-error@+1 {{can lay out only matrices in panels, not 'tensor<4xf32>'}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<4xf32> layout panel32 : tensor<1x4x32xf32>
  return
}

// -----

func.func @panel_type() {
  // expected-error@+1 {{has type 'tensor<1x8x32xf32>', but its layout gives 'tensor<2x8x32xf32>'}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<8x33xf32> layout panel32 : tensor<1x8x32xf32>
  return
}

// -----

func.func @view_sizes(%x: tensor<?x8xf32>, %n: index) {
  // expected-error@+1 {{has 1 sizes for the 0 dynamic dimensions of 'tensor<8xf32>'}}
  %0 = kernel.view %x sizes(%n) : tensor<?x8xf32> -> tensor<8xf32>
  return
}

// -----

func.func @region_sizes(%x: tensor<?xf32>) {
  // expected-error@+1 {{has 0 sizes for the 1 dynamic dimensions of its results}}
  %0 = kernel.region "r" inputs(%x : tensor<?xf32>) indices() sizes() -> tensor<?xf32> {
  ^bb0(%in: tensor<?xf32>):
    kernel.yield %in : tensor<?xf32>
  }
  return
}

// -----

func.func @grid_without_schedule(%x: tensor<4xf32>, %n: index) {
  // expected-error@+1 {{needs a grid exactly when it has a schedule}}
  %0 = kernel.region "r" inputs(%x : tensor<4xf32>) indices() sizes() grid(%n) -> tensor<4xf32> {
  ^bb0(%in: tensor<4xf32>):
    kernel.yield %in : tensor<4xf32>
  }
  return
}

// -----

func.func @arguments_of_the_other_form(%x: tensor<4xf32>, %n: index) {
  // expected-error@+1 {{but its form needs ('memref<4xf32>', 'memref<4xf32>', 'index', 'index')}}
  %0 = kernel.region "r" inputs(%x : tensor<4xf32>) indices() sizes() grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
  ^bb0(%in: tensor<4xf32>):
    kernel.yield %in : tensor<4xf32>
  }
  return
}

// -----

func.func @yields_another_type(%x: tensor<4xf32>) {
  // expected-error@+1 {{must end in a kernel.yield of ('tensor<2xf32>')}}
  %0 = kernel.region "r" inputs(%x : tensor<4xf32>) indices() sizes() -> tensor<2xf32> {
  ^bb0(%in: tensor<4xf32>):
    kernel.yield %in : tensor<4xf32>
  }
  return
}
