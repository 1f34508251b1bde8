// Sizes that no input makes equal are an error before any code is made.
// RUN: not tenon compile %s -o %t.so 2>&1 | FileCheck %s
// RUN: not ls %t.so

// CHECK: error: node 'view': needs 54 to be equal to 56
module attributes {tenon.phase = "import"} {
  func.func @main(%x: tensor<7x8xf32> {tenon.dims = [7, 8], tenon.name = "x"}) -> (tensor<?x9xf32> {tenon.name = "y"}) {
    %y = graph.reshape %x to [-1, 9] : tensor<7x8xf32> -> tensor<?x9xf32> loc("view")
    return %y : tensor<?x9xf32>
  }
}
