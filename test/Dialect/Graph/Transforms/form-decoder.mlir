// RUN: tenon-opt %s --split-input-file --graph-form-decoder --verify-diagnostics | FileCheck %s

// Caches change in place and are no results; the attention finds each row's;
// the last product is computed for the chosen rows alone.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[K:[a-z0-9]+]]: tensor<?x2x?x8xf32> {tenon.dims = ["slots", 2, "capacity", 8], tenon.name = "past.key", tenon.state}
// CHECK-SAME:    %[[V:[a-z0-9]+]]: tensor<?x2x?x8xf32> {tenon.dims = ["slots", 2, "capacity", 8], tenon.name = "past.value", tenon.state}
// CHECK-SAME:    %[[SLOTS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "slots"}
// CHECK-SAME:    %[[STARTS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "starts"}
// CHECK-SAME:    %[[ROWS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "rows"}
// CHECK-SAME:    -> tensor<?x?x50xf32>
// CHECK-NOT:     graph.symbol "p"
// CHECK:         %[[CONTEXT:.*]] = graph.symbol "context"
// CHECK:         %[[BESIDE:.*]] = graph.gather %{{.*}}, %[[ROWS]] axis 1
// CHECK:         %[[Q:.*]] = graph.transpose
// CHECK-DAG:     %[[KEYS:.*]] = graph.append %[[Q]] into %[[K]] at %[[STARTS]] in %[[SLOTS]]
// CHECK-DAG:     %[[VALUES:.*]] = graph.append %[[Q]] into %[[V]] at %[[STARTS]] in %[[SLOTS]]
// CHECK:         graph.attention causal %[[Q]], %[[KEYS]], %[[VALUES]] at %[[STARTS]] in %[[SLOTS]] length %[[CONTEXT]] scale 1.250000e-01 window 6
// CHECK:         %[[CHOSEN:.*]] = graph.gather %{{.*}}, %[[ROWS]] axis 1
// CHECK:         %[[SUM:.*]] = graph.add %[[CHOSEN]], %[[BESIDE]]
// CHECK:         %[[LOGITS:.*]] = graph.matmul %[[SUM]],
// CHECK:         return %[[LOGITS]] : tensor<?x?x50xf32>
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 window 6 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// Where each row stands is proven from a mask of ones, and so are positions.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[SLOTS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "slots"}
// CHECK-SAME:    %[[STARTS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "starts"}
// CHECK-NOT:     graph.pad
// CHECK-COUNT-2: graph.append %{{.*}} into %{{.*}} at %[[STARTS]] in %[[SLOTS]]
// CHECK:         graph.attention causal %{{.*}} at %[[STARTS]] in %[[SLOTS]] length
// CHECK:         graph.reshape %[[STARTS]] to
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %one = graph.constant dense<1> : tensor<i64>
    %zero = graph.constant dense<0> : tensor<i64>
    %float = graph.constant dense<0.0> : tensor<f32>
    %total = arith.addi %p, %s : index
    %ones = graph.broadcast %one to [%b, %total] : tensor<i64> -> tensor<?x?xi64>
    %counts = graph.reduce sum %ones axes [1] : tensor<?x?xi64> -> tensor<?x1xi64>
    %ends = graph.reshape %counts to [%b] {allow_zero} : tensor<?x1xi64> -> tensor<?xi64>
    %short = graph.cast %ends : tensor<?xi64> -> tensor<?xi32>
    %long = graph.cast %short : tensor<?xi32> -> tensor<?xi64>
    %new = graph.from_indices %s : tensor<i64>
    %first = graph.sub %long, %new : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %at = graph.max %first, %zero : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %roomK = graph.pad constant %k value %float low [0, 0, 0, 0] high [0, 0, %s, 0] : (tensor<?x2x?x8xf32>, tensor<f32>, index) -> tensor<?x2x?x8xf32>
    %roomV = graph.pad constant %v value %float low [0, 0, 0, 0] high [0, 0, %s, 0] : (tensor<?x2x?x8xf32>, tensor<f32>, index) -> tensor<?x2x?x8xf32>
    %keys = graph.append %q into %roomK at %at : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
    %values = graph.append %q into %roomV at %at : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values at %at length %total scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>, index) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    %column = graph.reshape %at to [%b, 1, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1x1xi64>
    %shift = graph.cast %column : tensor<?x1x1xi64> -> tensor<?x1x1xf32>
    %moved = graph.add %logits, %shift : tensor<?x?x50xf32>, tensor<?x1x1xf32> -> tensor<?x?x50xf32>
    return %moved, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// Keys and values may leave as one tensor.
// CHECK-LABEL: func @main
// CHECK-SAME:    -> tensor<?x?x50xf32>
// CHECK-NOT:     graph.concat
// CHECK:         return %{{.*}} : tensor<?x?x50xf32>
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<2x?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    %total = arith.addi %p, %s : index
    %k5 = graph.reshape %keys to [1, %b, 2, %total, 8] {allow_zero} : tensor<?x2x?x8xf32> -> tensor<1x?x2x?x8xf32>
    %v5 = graph.reshape %values to [1, %b, 2, %total, 8] {allow_zero} : tensor<?x2x?x8xf32> -> tensor<1x?x2x?x8xf32>
    %present = graph.concat %k5, %v5 axis 0 : (tensor<1x?x2x?x8xf32>, tensor<1x?x2x?x8xf32>) -> tensor<2x?x2x?x8xf32>
    return %logits, %present : tensor<?x?x50xf32>, tensor<2x?x2x?x8xf32>
  }
}

// -----

// The rows stand elsewhere.
module attributes {tenon.decoder} {
  // expected-error@+1 {{input 'past.key' is no cache of a decoder: what is new must be appended to it, and nothing else may read it}}
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %one = graph.constant dense<2> : tensor<i64>
    %zero = graph.constant dense<0> : tensor<i64>
    %float = graph.constant dense<0.0> : tensor<f32>
    %total = arith.addi %p, %s : index
    %ones = graph.broadcast %one to [%b, %total] : tensor<i64> -> tensor<?x?xi64>
    %counts = graph.reduce sum %ones axes [1] : tensor<?x?xi64> -> tensor<?x1xi64>
    %ends = graph.reshape %counts to [%b] {allow_zero} : tensor<?x1xi64> -> tensor<?xi64>
    %short = graph.cast %ends : tensor<?xi64> -> tensor<?xi32>
    %long = graph.cast %short : tensor<?xi32> -> tensor<?xi64>
    %new = graph.from_indices %s : tensor<i64>
    %first = graph.sub %long, %new : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %at = graph.max %first, %zero : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %roomK = graph.pad constant %k value %float low [0, 0, 0, 0] high [0, 0, %s, 0] : (tensor<?x2x?x8xf32>, tensor<f32>, index) -> tensor<?x2x?x8xf32>
    %roomV = graph.pad constant %v value %float low [0, 0, 0, 0] high [0, 0, %s, 0] : (tensor<?x2x?x8xf32>, tensor<f32>, index) -> tensor<?x2x?x8xf32>
    %keys = graph.append %q into %roomK at %at : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
    %values = graph.append %q into %roomV at %at : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values at %at length %total scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>, index) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// They stand at the start, whatever was before.
module attributes {tenon.decoder} {
  // expected-error@+1 {{input 'past.key' is no cache of a decoder: what is new must be appended to it, and nothing else may read it}}
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %one = graph.constant dense<1> : tensor<i64>
    %zero = graph.constant dense<0> : tensor<i64>
    %float = graph.constant dense<0.0> : tensor<f32>
    %total = arith.addi %p, %s : index
    %ones = graph.broadcast %one to [%b, %s] : tensor<i64> -> tensor<?x?xi64>
    %counts = graph.reduce sum %ones axes [1] : tensor<?x?xi64> -> tensor<?x1xi64>
    %ends = graph.reshape %counts to [%b] {allow_zero} : tensor<?x1xi64> -> tensor<?xi64>
    %short = graph.cast %ends : tensor<?xi64> -> tensor<?xi32>
    %long = graph.cast %short : tensor<?xi32> -> tensor<?xi64>
    %new = graph.from_indices %s : tensor<i64>
    %first = graph.sub %long, %new : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %at = graph.max %first, %zero : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %roomK = graph.pad constant %k value %float low [0, 0, 0, 0] high [0, 0, %s, 0] : (tensor<?x2x?x8xf32>, tensor<f32>, index) -> tensor<?x2x?x8xf32>
    %roomV = graph.pad constant %v value %float low [0, 0, 0, 0] high [0, 0, %s, 0] : (tensor<?x2x?x8xf32>, tensor<f32>, index) -> tensor<?x2x?x8xf32>
    %keys = graph.append %q into %roomK at %at : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
    %values = graph.append %q into %roomV at %at : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values at %at length %total scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>, index) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// The room is in front.
module attributes {tenon.decoder} {
  // expected-error@+1 {{input 'past.key' is no cache of a decoder: what is new must be appended to it, and nothing else may read it}}
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %one = graph.constant dense<1> : tensor<i64>
    %zero = graph.constant dense<0> : tensor<i64>
    %float = graph.constant dense<0.0> : tensor<f32>
    %total = arith.addi %p, %s : index
    %ones = graph.broadcast %one to [%b, %total] : tensor<i64> -> tensor<?x?xi64>
    %counts = graph.reduce sum %ones axes [1] : tensor<?x?xi64> -> tensor<?x1xi64>
    %ends = graph.reshape %counts to [%b] {allow_zero} : tensor<?x1xi64> -> tensor<?xi64>
    %short = graph.cast %ends : tensor<?xi64> -> tensor<?xi32>
    %long = graph.cast %short : tensor<?xi32> -> tensor<?xi64>
    %new = graph.from_indices %s : tensor<i64>
    %first = graph.sub %long, %new : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %at = graph.max %first, %zero : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %roomK = graph.pad constant %k value %float low [0, 0, %s, 0] high [0, 0, 0, 0] : (tensor<?x2x?x8xf32>, tensor<f32>, index) -> tensor<?x2x?x8xf32>
    %roomV = graph.pad constant %v value %float low [0, 0, %s, 0] high [0, 0, 0, 0] : (tensor<?x2x?x8xf32>, tensor<f32>, index) -> tensor<?x2x?x8xf32>
    %keys = graph.append %q into %roomK at %at : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
    %values = graph.append %q into %roomV at %at : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values at %at length %total scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>, index) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// What is new comes first.
module attributes {tenon.decoder} {
  // expected-error@+1 {{input 'past.key' is no cache of a decoder: what is new must be appended to it, and nothing else may read it}}
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %q, %k axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// Every query sees every key.
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  // expected-error@+1 {{has a mask that is not known to show each query the keys before it alone, which a decoder needs}}
    %a = graph.attention %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// Something else is masked too.
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %m: tensor<?x1x1x?xi1> {tenon.name = "m", tenon.dims = ["b", 1, 1, "t"]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  // expected-error@+1 {{has a mask that is not known to depend on the key alone, or its distance from the query, beside showing each query the keys before it, which a decoder needs}}
    %a = graph.attention causal %q, %keys, %values mask %m scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x1x?xi1>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  // expected-error@+1 {{reads the cache 'past.key' and is no part of an attention that was recognised}}
    %other = graph.exp %keys : tensor<?x2x?x8xf32> -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %other, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// The values are not what the cache holds.
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %new: tensor<?x1xi1> {tenon.name = "n", tenon.dims = ["b", 1]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %more = graph.concat %q, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  // expected-error@+1 {{reads keys or values that are in no cache beside those that are}}
    %a = graph.attention causal %q, %keys, %more scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

module attributes {tenon.decoder} {
  // expected-error@+1 {{input 'bias' is none of tokens, positions, mask, caches or what an encoder gives, which are all that a decoder has}}
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %bias: tensor<50xf32> {tenon.name = "bias", tenon.dims = [50]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
  // expected-error@+1 {{computes with the size 'p', which sequences at different positions have no one value of}}
    %count = graph.from_indices %p : tensor<i64>
    %scalar = graph.cast %count : tensor<i64> -> tensor<f32>
    %moved = graph.add %logits, %scalar : tensor<?x?x50xf32>, tensor<f32> -> tensor<?x?x50xf32>
    return %moved, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

module attributes {tenon.decoder} {
  // expected-error@+1 {{must give logits (batch×sequence×vocabulary) and caches, but beside caches it gives}}
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?x16xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values, %sum : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?x16xf32>
  }
}

// -----

// No decoder was asked for.
// CHECK-LABEL: func @main
// CHECK:         graph.concat
// CHECK-NOT:     graph.append
module {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    %sum = graph.add %flat, %x : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %head = graph.weight "head" from "none" at 3200 : tensor<16x50xf32>
    %logits = graph.matmul %sum, %head : tensor<?x?x16xf32>, tensor<16x50xf32> -> tensor<?x?x50xf32>
    return %logits, %keys, %values : tensor<?x?x50xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// Bytes have their scale behind them.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[K:[a-z0-9]+]]: tensor<?x2x?x12xi8> {tenon.dims = ["slots", 2, "capacity", 12], tenon.name = "past.key", tenon.state}
// CHECK-SAME:    tensor<?x2x?x12xi8> {tenon.dims = ["slots", 2, "capacity", 12], tenon.name = "past.value", tenon.state}
// CHECK:         %[[KEYS:.*]] = graph.append %{{.*}} into %[[K]] at {{.*}} : (tensor<?x2x?x8xf32>, tensor<?x2x?x12xi8>, tensor<?xi64>, tensor<?xi64>) -> tensor<?x2x?x12xi8>
// CHECK:         graph.attention causal %{{.*}}, %[[KEYS]], %{{.*}} : (tensor<?x2x?x8xf32>, tensor<?x2x?x12xi8>, tensor<?x2x?x12xi8>, tensor<?xi64>, tensor<?xi64>, index) -> tensor<?x2x?x8xf32>
module attributes {tenon.decoder, tenon.kv_cache = "int8"} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// CHECK-LABEL: func @main
// CHECK-SAME:    tensor<?x2x?x8xbf16> {tenon.dims = ["slots", 2, "capacity", 8], tenon.name = "past.key", tenon.state}
// CHECK:         graph.append {{.*}} -> tensor<?x2x?x8xbf16>
// CHECK:         graph.attention {{.*}} -> tensor<?x2x?x8xf32>
module attributes {tenon.decoder, tenon.kv_cache = "bf16"} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// expected-error@+2 {{is wanted with caches of 'int4', but caches are of f32, f16, bf16 or int8}}
module attributes {tenon.decoder, tenon.kv_cache = "int4"} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// expected-error@+2 {{cache 'past.key' has heads of a size that is not known, and cannot be stored in int8}}
module attributes {tenon.decoder, tenon.kv_cache = "int8"} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x?xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", "d"]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x?xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %d = graph.symbol "d" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x?xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x?xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x?xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x?xf32>, tensor<?x2x?x8xf32>
  }
}
