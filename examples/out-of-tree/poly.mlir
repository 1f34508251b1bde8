// What import would write, with a polynomial in it: 1 + 2x² of each element.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?xf32>
// CHECK:         %[[PRODUCT:.*]] = graph.mul %{{.*}}, %[[X]]
// CHECK:         %[[SUM:.*]] = graph.add %[[PRODUCT]]
// CHECK:         %[[SQUARE:.*]] = graph.mul %[[SUM]], %[[X]]
// CHECK:         %[[Y:.*]] = graph.add %[[SQUARE]], %{{.*}} {tenon.id = "parabola"}
// CHECK:         return %[[Y]]
// CHECK-NOT:     poly
module attributes {tenon.phase = "import"} {
  func.func @main(%x: tensor<?xf32> {tenon.name = "x", tenon.dims = ["n"]})
      -> (tensor<?xf32> {tenon.name = "y"}) {
    %n = graph.symbol "n" range 0 to 9223372036854775807
    %y = poly.eval [1.0, 0.0, 2.0] %x {tenon.id = "parabola"} : tensor<?xf32>
    return %y : tensor<?xf32>
  }
}
