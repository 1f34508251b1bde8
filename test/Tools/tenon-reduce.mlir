// RUN: echo '#!/bin/sh' > %t.sh
// RUN: echo 'tenon-opt $1 | grep -q graph.tanh && exit 1; exit 0' >> %t.sh
// RUN: chmod +x %t.sh
// RUN: tenon-reduce %s --reduction-tree='traversal-mode=0 test=%t.sh' -o %t.mlir 2> /dev/null
// RUN: FileCheck %s < %t.mlir

// RUN: echo '#!/bin/sh' > %t.never.sh
// RUN: chmod +x %t.never.sh
// RUN: not tenon-reduce %s --reduction-tree='traversal-mode=0 test=%t.never.sh'

// A module is interesting here while it has a tanh in it: what feeds it becomes an
// argument, what follows is left out, and so is the other result.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    (%[[X:.*]]: tensor<4x4xf32> {tenon.dims = [4, 4], tenon.name = "product"})
// CHECK-SAME:    -> (tensor<4x4xf32> {{{.*}}})
// CHECK-NEXT:    %[[Y:.*]] = graph.tanh %[[X]]
// CHECK-NEXT:    return %[[Y]]

// Where nothing is interesting the tool fails.
func.func @main(%x: tensor<4x4xf32> {tenon.name = "x", tenon.dims = [4, 4]})
    -> (tensor<4x4xf32> {tenon.name = "y"}, tensor<4x4xf32> {tenon.name = "z"}) {
  %0 = graph.exp %x {tenon.id = "exp"} : tensor<4x4xf32> -> tensor<4x4xf32>
  %1 = graph.matmul %0, %x {tenon.id = "product"} : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
  %2 = graph.tanh %1 {tenon.id = "tanh"} : tensor<4x4xf32> -> tensor<4x4xf32>
  %3 = graph.add %2, %0 {tenon.id = "sum"} : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
  %4 = graph.softmax %3 axis 1 {tenon.id = "softmax"} : tensor<4x4xf32> -> tensor<4x4xf32>
  return %4, %0 : tensor<4x4xf32>, tensor<4x4xf32>
}
