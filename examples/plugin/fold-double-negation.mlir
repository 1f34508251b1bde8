// CHECK-LABEL: func @twice
// CHECK-SAME:    %[[X:.*]]: tensor<?xf32>
// CHECK-NEXT:    return %[[X]]
func.func @twice(%x: tensor<?xf32>) -> tensor<?xf32> {
  %0 = graph.neg %x : tensor<?xf32> -> tensor<?xf32>
  %1 = graph.neg %0 : tensor<?xf32> -> tensor<?xf32>
  return %1 : tensor<?xf32>
}

// Another op between them: both stay.
// CHECK-LABEL: func @with_tanh_between
// CHECK:         graph.neg
// CHECK:         graph.tanh
// CHECK:         graph.neg
func.func @with_tanh_between(%x: tensor<?xf32>) -> tensor<?xf32> {
  %0 = graph.neg %x : tensor<?xf32> -> tensor<?xf32>
  %1 = graph.tanh %0 : tensor<?xf32> -> tensor<?xf32>
  %2 = graph.neg %1 : tensor<?xf32> -> tensor<?xf32>
  return %2 : tensor<?xf32>
}
