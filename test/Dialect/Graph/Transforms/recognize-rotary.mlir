// RUN: tenon-opt %s --graph-recognize-rotary --canonicalize | FileCheck %s

// Tables as exporters make them, with a scale; factors in either order.
// CHECK-LABEL: func @by_halves
// CHECK-SAME:    %[[X:.*]]: tensor<?x9x?x64xf32> {{.*}}, %[[F:.*]]: tensor<?x?x32xf32>
// CHECK:         %[[C:.*]] = graph.cos %[[F]] {tenon.id = "cos.half"}
// CHECK:         %[[SCALED:.*]] = graph.mul %[[C]]
// CHECK:         %[[S:.*]] = graph.sin %[[F]]
// CHECK:         %[[COS:.*]] = graph.reshape %[[SCALED]] to [%{{.*}}, 1, %{{.*}}, 32]
// CHECK:         %[[SIN:.*]] = graph.reshape %[[S]] to [%{{.*}}, 1, %{{.*}}, 32]
// CHECK:         %[[OUT:.*]] = graph.rotary %[[X]], %[[COS]], %[[SIN]] {tenon.id = "sum"}
// CHECK-NEXT:    return %[[OUT]]
func.func @by_halves(%x: tensor<?x9x?x64xf32> {tenon.dims = ["b", 9, "s", 64]},
             %f: tensor<?x?x32xf32> {tenon.dims = ["b", "s", 32]}) -> tensor<?x9x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %scale = graph.constant dense<2.0> : tensor<f32>
  %f2 = graph.concat %f, %f axis 2 : (tensor<?x?x32xf32>, tensor<?x?x32xf32>) -> tensor<?x?x64xf32>
  %c = graph.cos %f2 {tenon.id = "cos"} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  %sc = graph.mul %c, %scale : tensor<?x?x64xf32>, tensor<f32> -> tensor<?x?x64xf32>
  %sn = graph.sin %f2 : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  %cos = graph.reshape %sc to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %sin = graph.reshape %sn to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %0 = graph.mul %x, %cos : tensor<?x9x?x64xf32>, tensor<?x1x?x64xf32> -> tensor<?x9x?x64xf32>
  %lo = graph.slice %x from [0, 0, 0, 0] to [%b, 9, %s, 32] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %hi = graph.slice %x from [0, 0, 0, 32] to [%b, 9, %s, 64] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %n = graph.neg %hi : tensor<?x9x?x32xf32> -> tensor<?x9x?x32xf32>
  %1 = graph.concat %n, %lo axis 3 : (tensor<?x9x?x32xf32>, tensor<?x9x?x32xf32>) -> tensor<?x9x?x64xf32>
  %2 = graph.mul %sin, %1 : tensor<?x1x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  %3 = graph.add %0, %2 {tenon.id = "sum"} : tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  return %3 : tensor<?x9x?x64xf32>
}

// Nothing says that the halves of these tables are equal.
// CHECK-LABEL: func @other_tables
// CHECK-NOT:     graph.rotary
// CHECK:         return
func.func @other_tables(%x: tensor<?x9x?x64xf32> {tenon.dims = ["b", 9, "s", 64]},
                %f: tensor<?x?x64xf32> {tenon.dims = ["b", "s", 64]}, %g: tensor<?x?x64xf32> {tenon.dims = ["b", "s", 64]}) -> tensor<?x9x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %cos = graph.reshape %f to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %sin = graph.reshape %g to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %0 = graph.mul %x, %cos : tensor<?x9x?x64xf32>, tensor<?x1x?x64xf32> -> tensor<?x9x?x64xf32>
  %lo = graph.slice %x from [0, 0, 0, 0] to [%b, 9, %s, 32] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %hi = graph.slice %x from [0, 0, 0, 32] to [%b, 9, %s, 64] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %n = graph.neg %hi : tensor<?x9x?x32xf32> -> tensor<?x9x?x32xf32>
  %1 = graph.concat %n, %lo axis 3 : (tensor<?x9x?x32xf32>, tensor<?x9x?x32xf32>) -> tensor<?x9x?x64xf32>
  %2 = graph.mul %sin, %1 : tensor<?x1x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  %3 = graph.add %0, %2 {tenon.id = "sum"} : tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  return %3 : tensor<?x9x?x64xf32>
}

// The rotation the other way round: concat(x[32:], -x[:32]).
// CHECK-LABEL: func @first_half_negated
// CHECK-NOT:     graph.rotary
// CHECK:         return
func.func @first_half_negated(%x: tensor<?x9x?x64xf32> {tenon.dims = ["b", 9, "s", 64]},
                      %f: tensor<?x?x32xf32> {tenon.dims = ["b", "s", 32]}) -> tensor<?x9x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %scale = graph.constant dense<2.0> : tensor<f32>
  %f2 = graph.concat %f, %f axis 2 : (tensor<?x?x32xf32>, tensor<?x?x32xf32>) -> tensor<?x?x64xf32>
  %c = graph.cos %f2 {tenon.id = "cos"} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  %sc = graph.mul %c, %scale : tensor<?x?x64xf32>, tensor<f32> -> tensor<?x?x64xf32>
  %sn = graph.sin %f2 : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  %cos = graph.reshape %sc to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %sin = graph.reshape %sn to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %0 = graph.mul %x, %cos : tensor<?x9x?x64xf32>, tensor<?x1x?x64xf32> -> tensor<?x9x?x64xf32>
  %lo = graph.slice %x from [0, 0, 0, 0] to [%b, 9, %s, 32] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %hi = graph.slice %x from [0, 0, 0, 32] to [%b, 9, %s, 64] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %n = graph.neg %lo : tensor<?x9x?x32xf32> -> tensor<?x9x?x32xf32>
  %1 = graph.concat %hi, %n axis 3 : (tensor<?x9x?x32xf32>, tensor<?x9x?x32xf32>) -> tensor<?x9x?x64xf32>
  %2 = graph.mul %sin, %1 : tensor<?x1x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  %3 = graph.add %0, %2 {tenon.id = "sum"} : tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  return %3 : tensor<?x9x?x64xf32>
}

// The halves do not change places.
// CHECK-LABEL: func @halves_in_place
// CHECK-NOT:     graph.rotary
// CHECK:         return
func.func @halves_in_place(%x: tensor<?x9x?x64xf32> {tenon.dims = ["b", 9, "s", 64]},
                   %f: tensor<?x?x32xf32> {tenon.dims = ["b", "s", 32]}) -> tensor<?x9x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %scale = graph.constant dense<2.0> : tensor<f32>
  %f2 = graph.concat %f, %f axis 2 : (tensor<?x?x32xf32>, tensor<?x?x32xf32>) -> tensor<?x?x64xf32>
  %c = graph.cos %f2 {tenon.id = "cos"} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  %sc = graph.mul %c, %scale : tensor<?x?x64xf32>, tensor<f32> -> tensor<?x?x64xf32>
  %sn = graph.sin %f2 : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  %cos = graph.reshape %sc to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %sin = graph.reshape %sn to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %0 = graph.mul %x, %cos : tensor<?x9x?x64xf32>, tensor<?x1x?x64xf32> -> tensor<?x9x?x64xf32>
  %lo = graph.slice %x from [0, 0, 0, 0] to [%b, 9, %s, 32] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %hi = graph.slice %x from [0, 0, 0, 32] to [%b, 9, %s, 64] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %n = graph.neg %hi : tensor<?x9x?x32xf32> -> tensor<?x9x?x32xf32>
  %1 = graph.concat %lo, %n axis 3 : (tensor<?x9x?x32xf32>, tensor<?x9x?x32xf32>) -> tensor<?x9x?x64xf32>
  %2 = graph.mul %sin, %1 : tensor<?x1x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  %3 = graph.add %0, %2 {tenon.id = "sum"} : tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  return %3 : tensor<?x9x?x64xf32>
}

// Not the upper half.
// CHECK-LABEL: func @overlapping
// CHECK-NOT:     graph.rotary
// CHECK:         return
func.func @overlapping(%x: tensor<?x9x?x64xf32> {tenon.dims = ["b", 9, "s", 64]},
               %f: tensor<?x?x32xf32> {tenon.dims = ["b", "s", 32]}) -> tensor<?x9x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %scale = graph.constant dense<2.0> : tensor<f32>
  %f2 = graph.concat %f, %f axis 2 : (tensor<?x?x32xf32>, tensor<?x?x32xf32>) -> tensor<?x?x64xf32>
  %c = graph.cos %f2 {tenon.id = "cos"} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  %sc = graph.mul %c, %scale : tensor<?x?x64xf32>, tensor<f32> -> tensor<?x?x64xf32>
  %sn = graph.sin %f2 : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  %cos = graph.reshape %sc to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %sin = graph.reshape %sn to [%b, 1, %s, 64] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x1x?x64xf32>
  %0 = graph.mul %x, %cos : tensor<?x9x?x64xf32>, tensor<?x1x?x64xf32> -> tensor<?x9x?x64xf32>
  %lo = graph.slice %x from [0, 0, 0, 0] to [%b, 9, %s, 32] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %hi = graph.slice %x from [0, 0, 0, 16] to [%b, 9, %s, 48] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
  %n = graph.neg %hi : tensor<?x9x?x32xf32> -> tensor<?x9x?x32xf32>
  %1 = graph.concat %n, %lo axis 3 : (tensor<?x9x?x32xf32>, tensor<?x9x?x32xf32>) -> tensor<?x9x?x64xf32>
  %2 = graph.mul %sin, %1 : tensor<?x1x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  %3 = graph.add %0, %2 {tenon.id = "sum"} : tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
  return %3 : tensor<?x9x?x64xf32>
}
