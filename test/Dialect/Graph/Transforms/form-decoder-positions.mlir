// RUN: tenon-opt %s --split-input-file --graph-form-decoder --verify-diagnostics | FileCheck %s

// ALiBi: slopes times positions that are sums of a mask of ones. Any key that a
// sequence may have gets its own.
// CHECK-LABEL: func @main
// CHECK:         %[[CONTEXT:.*]] = graph.symbol "context"
// CHECK:         %[[ONE:.*]] = arith.constant 1 : index
// CHECK:         %[[PAST:.*]] = arith.subi %[[CONTEXT]], %[[ONE]]
// CHECK:         %[[KEYS:.*]] = arith.addi %[[PAST]], %[[ONE]]
// CHECK:         %[[ONES:.*]] = graph.broadcast %{{.*}} to [%[[ONE]], %[[KEYS]]]
// CHECK:         %[[SUM:.*]] = graph.cumulative_sum %[[ONES]] axis 1
// CHECK:         %[[BIAS:.*]] = graph.reshape %{{.*}} to [%[[ONE]], 2, 1, %[[KEYS]]]
// CHECK:         graph.attention causal %{{[^,]*}}, %{{[^,]*}}, %{{.*}} mask %[[BIAS]] at %{{.*}} in %{{.*}} length %[[CONTEXT]]
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %slopes = graph.constant dense<[[0.25], [0.0625]]> : tensor<2x1xf32>
    %one = graph.constant dense<1> : tensor<i64>
    %ones = graph.broadcast %one to [%b, %total] : tensor<i64> -> tensor<?x?xi64>
    %sums = graph.cumulative_sum %ones axis 1 : tensor<?x?xi64> -> tensor<?x?xi64>
    %from = graph.sub %sums, %one : tensor<?x?xi64>, tensor<i64> -> tensor<?x?xi64>
    %positions = graph.mul %from, %ones : tensor<?x?xi64>, tensor<?x?xi64> -> tensor<?x?xi64>
    %row = graph.reshape %positions to [%b, 1, %total] {allow_zero} : tensor<?x?xi64> -> tensor<?x1x?xi64>
    %float = graph.cast %row : tensor<?x1x?xi64> -> tensor<?x1x?xf32>
    %alibi = graph.mul %slopes, %float : tensor<2x1xf32>, tensor<?x1x?xf32> -> tensor<?x2x?xf32>
    %bias = graph.reshape %alibi to [%b, 2, 1, %total] {allow_zero} : tensor<?x2x?xf32> -> tensor<?x2x1x?xf32>
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values mask %bias scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x1x?xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// A table of distances, as T5 has, is looked up for a query behind all others.
// CHECK-LABEL: func @main
// CHECK:         %[[CONTEXT:.*]] = graph.symbol "context"
// CHECK:         %[[ONE:.*]] = arith.constant 1 : index
// CHECK:         %[[PAST:.*]] = arith.subi %[[CONTEXT]], %[[ONE]]
// CHECK:         graph.iota %{{.*}} step 1 size %[[ONE]]
// CHECK:         %[[BIAS:.*]] = graph.transpose %{{.*}} [2, 0, 1]
// CHECK:         graph.attention causal relative %{{[^,]*}}, %{{[^,]*}}, %{{.*}} mask %[[BIAS]] at
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %past = graph.from_indices %p : tensor<i64>
    %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
    %j = graph.iota %c0 step 1 size %total : tensor<?xi64>
    %at = graph.add %i, %past : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %query = graph.reshape %at to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
    %distance = graph.sub %j, %query : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi64>
    %zero = graph.constant dense<0> : tensor<i64>
    %last = graph.constant dense<-7> : tensor<i64>
    %distances = graph.weight "distances" from "none" at 6400 : tensor<8x2xf32>
    %before = graph.min %distance, %zero : tensor<?x?xi64>, tensor<i64> -> tensor<?x?xi64>
    %near = graph.max %before, %last : tensor<?x?xi64>, tensor<i64> -> tensor<?x?xi64>
    %number = graph.neg %near : tensor<?x?xi64> -> tensor<?x?xi64>
    %found = graph.gather %distances, %number axis 0 : tensor<8x2xf32>, tensor<?x?xi64> -> tensor<?x?x2xf32>
    %bias = graph.transpose %found [2, 0, 1] : tensor<?x?x2xf32> -> tensor<2x?x?xf32>
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values mask %bias scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<2x?x?xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// The last biases of a table with equal steps, as MPT has: that of the last key
// is the same at each length, which is one number for the whole row of scores.
// CHECK-LABEL: func @main
// CHECK:         %[[BIAS:.*]] = graph.slice %{{.*}} from [0, 0, %{{.*}}]
// CHECK:         graph.attention causal %{{[^,]*}}, %{{[^,]*}}, %{{.*}} mask %[[BIAS]] at
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %biases = graph.constant dense<[[[-1.25, -1.0, -0.75, -0.5, -0.25, 0.0]], [[-2.5, -2.0, -1.5, -1.0, -0.5, 0.0]]]> : tensor<2x1x6xf32>
    %size = arith.constant 6 : index
    %first = arith.subi %size, %total : index
    %bias = graph.slice %biases from [0, 0, %first] to [2, 1, 6] step [1, 1, 1] : tensor<2x1x6xf32> -> tensor<2x1x?xf32>
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values mask %bias scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<2x1x?xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// With other steps it depends on the length of the sequence.
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %biases = graph.constant dense<[[[-1.25, -1.0, -0.75, -0.5, -0.25, 0.0]], [[-2.5, -2.0, -1.5, -1.0, -0.6, 0.0]]]> : tensor<2x1x6xf32>
    %size = arith.constant 6 : index
    %first = arith.subi %size, %total : index
    %bias = graph.slice %biases from [0, 0, %first] to [2, 1, 6] step [1, 1, 1] : tensor<2x1x6xf32> -> tensor<2x1x?xf32>
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    // expected-error@+1 {{has a mask that is not known to depend on the key alone, or its distance from the query, beside showing each query the keys before it, which a decoder needs}}
    %a = graph.attention causal %q, %keys, %values mask %bias scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<2x1x?xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// A function of the key's place from the end, where rows end at different places.
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %slopes = graph.constant dense<[[0.25], [0.0625]]> : tensor<2x1xf32>
    %all = graph.from_indices %total : tensor<i64>
    %j = graph.iota %c0 step 1 size %total : tensor<?xi64>
    %behind = graph.sub %j, %all : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %float = graph.cast %behind : tensor<?xi64> -> tensor<?xf32>
    %curve = graph.exp %float : tensor<?xf32> -> tensor<?xf32>
    %alibi = graph.mul %slopes, %curve : tensor<2x1xf32>, tensor<?xf32> -> tensor<2x?xf32>
    %bias = graph.reshape %alibi to [2, 1, %total] {allow_zero} : tensor<2x?xf32> -> tensor<2x1x?xf32>
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    // expected-error@+1 {{has a mask that is not known to depend on the key alone, or its distance from the query, beside showing each query the keys before it, which a decoder needs}}
    %a = graph.attention causal %q, %keys, %values mask %bias scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<2x1x?xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// The same in equal steps is the place itself, and a number for the row.
// CHECK-LABEL: func @main
// CHECK:         graph.attention causal %{{[^,]*}}, %{{[^,]*}}, %{{.*}} mask %{{.*}} at
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %slopes = graph.constant dense<[[0.25], [0.0625]]> : tensor<2x1xf32>
    %all = graph.from_indices %total : tensor<i64>
    %j = graph.iota %c0 step 1 size %total : tensor<?xi64>
    %behind = graph.sub %j, %all : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %float = graph.cast %behind : tensor<?xi64> -> tensor<?xf32>
    %alibi = graph.mul %slopes, %float : tensor<2x1xf32>, tensor<?xf32> -> tensor<2x?xf32>
    %bias = graph.reshape %alibi to [2, 1, %total] {allow_zero} : tensor<2x?xf32> -> tensor<2x1x?xf32>
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention causal %q, %keys, %values mask %bias scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<2x1x?xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// Distances from where the query stands in its step alone.
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %past = graph.from_indices %p : tensor<i64>
    %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
    %j = graph.iota %c0 step 1 size %total : tensor<?xi64>
    %at = graph.add %i, %past : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %query = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
    %distance = graph.sub %j, %query : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi64>
    %slopes = graph.constant dense<[[0.25], [0.0625]]> : tensor<2x1xf32>
    %float = graph.cast %distance : tensor<?x?xi64> -> tensor<?x?xf32>
    %bias = graph.exp %float : tensor<?x?xf32> -> tensor<?x?xf32>
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    // expected-error@+1 {{has a mask that is not known to depend on the key alone, or its distance from the query, beside showing each query the keys before it, which a decoder needs}}
    %a = graph.attention causal %q, %keys, %values mask %bias scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// Both the key's place and its distance.
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %past = graph.from_indices %p : tensor<i64>
    %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
    %j = graph.iota %c0 step 1 size %total : tensor<?xi64>
    %at = graph.add %i, %past : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %query = graph.reshape %at to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
    %distance = graph.sub %j, %query : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi64>
    %both = graph.mul %j, %distance : tensor<?xi64>, tensor<?x?xi64> -> tensor<?x?xi64>
    %bias = graph.cast %both : tensor<?x?xi64> -> tensor<?x?xf32>
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %values = graph.concat %v, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    // expected-error@+1 {{has a mask that is not known to depend on the key alone, or its distance from the query, beside showing each query the keys before it, which a decoder needs}}
    %a = graph.attention causal %q, %keys, %values mask %bias scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %values : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// A table of places is looked up for those of each row, as BART and Whisper have
// it: one row for the batch, or one for each.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[STARTS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "starts"}
// CHECK:         %[[STEPS:.*]] = graph.iota %{{.*}} step 1 size
// CHECK:         %[[COLUMN:.*]] = graph.reshape %[[STARTS]] to
// CHECK:         %[[AT:.*]] = graph.add %[[COLUMN]], %[[STEPS]] : tensor<?x1xi64>, tensor<?xi64> -> tensor<?x?xi64>
// CHECK:         %[[PLACES:.*]] = graph.gather %{{.*}}, %[[AT]] axis 0 {tenon.id = "places"} : tensor<66x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
// CHECK:         graph.add %{{.*}}, %[[PLACES]]
// CHECK:         graph.attention causal
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %tokens = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %past = graph.from_indices %p : tensor<i64>
    %two = graph.constant dense<2> : tensor<i64>
    %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
    %at = graph.add %i, %past : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %row = graph.reshape %at to [1, %s] {allow_zero} : tensor<?xi64> -> tensor<1x?xi64>
    %behind = graph.add %row, %two : tensor<1x?xi64>, tensor<i64> -> tensor<1x?xi64>
    %places = graph.weight "places" from "none" at 3200 : tensor<66x16xf32>
    %found = graph.gather %places, %behind axis 0 {tenon.id = "places"} : tensor<66x16xf32>, tensor<1x?xi64> -> tensor<1x?x16xf32>
    %x = graph.add %tokens, %found : tensor<?x?x16xf32>, tensor<1x?x16xf32> -> tensor<?x?x16xf32>
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
// CHECK:         graph.gather %{{.*}} axis 0 {tenon.id = "places"} : tensor<66x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %tokens = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %past = graph.from_indices %p : tensor<i64>
    %two = graph.constant dense<2> : tensor<i64>
    %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
    %at = graph.add %i, %past : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %row = graph.reshape %at to [1, %s] {allow_zero} : tensor<?xi64> -> tensor<1x?xi64>
    %behind = graph.add %row, %two : tensor<1x?xi64>, tensor<i64> -> tensor<1x?xi64>
    %places = graph.weight "places" from "none" at 3200 : tensor<66x16xf32>
    %repeated = graph.broadcast %behind to [%b, %s] : tensor<1x?xi64> -> tensor<?x?xi64>
    %column = graph.reshape %repeated to [%b, %s, 1] {allow_zero} : tensor<?x?xi64> -> tensor<?x?x1xi64>
    %found = graph.gather_nd %places, %column batch_dims 0 {tenon.id = "places"} : tensor<66x16xf32>, tensor<?x?x1xi64> -> tensor<?x?x16xf32>
    %x = graph.add %tokens, %found : tensor<?x?x16xf32>, tensor<?x?x16xf32> -> tensor<?x?x16xf32>
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

// A norm of one row for all of the batch would have to become one of many.
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %v: tensor<?x2x?x8xf32> {tenon.name = "past.value", tenon.dims = ["b", 2, "p", 8]}, %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"},
                  %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"}, %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"},
                  %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %total = arith.addi %p, %s : index
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %tokens = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    // expected-error@+1 {{computes with the size 'p', which sequences at different positions have no one value of}}
    %past = graph.from_indices %p : tensor<i64>
    %two = graph.constant dense<2> : tensor<i64>
    %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
    %at = graph.add %i, %past : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
    %row = graph.reshape %at to [1, %s] {allow_zero} : tensor<?xi64> -> tensor<1x?xi64>
    %behind = graph.add %row, %two : tensor<1x?xi64>, tensor<i64> -> tensor<1x?xi64>
    %places = graph.weight "places" from "none" at 3200 : tensor<66x16xf32>
    %found = graph.gather %places, %behind axis 0 : tensor<66x16xf32>, tensor<1x?xi64> -> tensor<1x?x16xf32>
    %norm = graph.norm %found axis 2 epsilon 9.99999974E-6 : (tensor<1x?x16xf32>) -> tensor<1x?x16xf32>
    %x = graph.add %tokens, %norm : tensor<?x?x16xf32>, tensor<1x?x16xf32> -> tensor<?x?x16xf32>
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
