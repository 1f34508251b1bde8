// RUN: tenon-opt %s --graph-recognize-norm --graph-recognize-gelu --graph-recognize-integer-products \
// RUN:   --graph-recognize-rotary --graph-recognize-attention \
// RUN:   --graph-recognize-grouped-heads --graph-recognize-causal-mask \
// RUN:   --remarks-filter=simplify --remark-format=emitRemark --verify-diagnostics -o /dev/null

// What resembles a form says why it is none, and nothing else says anything: a
// remark that no line expects fails this test.

//===- norms -------------------------------------------------------------------------------------------------------===//

func.func @norms(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>, %e: tensor<f32>, %row: tensor<1x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<1x8xf32>, tensor<?x8xf32>) {
  %eps = graph.constant dense<9.99999974E-6> : tensor<f32>
  %square = graph.mul %x, %x : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  %mean = graph.reduce mean %square axes [1] : tensor<?x8xf32> -> tensor<?x1xf32>
  %sum = graph.add %mean, %eps : tensor<?x1xf32>, tensor<f32> -> tensor<?x1xf32>
  %root = graph.sqrt %sum : tensor<?x1xf32> -> tensor<?x1xf32>
  // expected-remark@+1 {{[Passed] Recognized | Category:simplify | Function=norm | Form="rms norm"}}
  %0 = graph.div %x, %root {tenon.id = "norm"} : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>

  %bare = graph.sqrt %mean : tensor<?x1xf32> -> tensor<?x1xf32>
  // expected-remark@+1 {{[Missed] NotRecognized | Category:simplify | Function=bare | Form=norm, Remark="no epsilon is added to the mean"}}
  %1 = graph.div %x, %bare {tenon.id = "bare"} : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>

  %sum2 = graph.add %mean, %e : tensor<?x1xf32>, tensor<f32> -> tensor<?x1xf32>
  %root2 = graph.sqrt %sum2 : tensor<?x1xf32> -> tensor<?x1xf32>
  // expected-remark@+1 {{epsilon is no constant}}
  %2 = graph.div %x, %root2 : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>

  %mean3 = graph.reduce mean %square axes [0] : tensor<?x8xf32> -> tensor<1x8xf32>
  %sum3 = graph.add %mean3, %eps : tensor<1x8xf32>, tensor<f32> -> tensor<1x8xf32>
  %root3 = graph.sqrt %sum3 : tensor<1x8xf32> -> tensor<1x8xf32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %inverse3 = graph.div %one, %root3 : tensor<f32>, tensor<1x8xf32> -> tensor<1x8xf32>
  // expected-remark@+1 {{the mean is not over the last dimension alone}}
  %3 = graph.mul %x, %inverse3 : tensor<?x8xf32>, tensor<1x8xf32> -> tensor<?x8xf32>

  %size = graph.abs %x : tensor<?x8xf32> -> tensor<?x8xf32>
  %mean4 = graph.reduce mean %size axes [1] : tensor<?x8xf32> -> tensor<?x1xf32>
  %sum4 = graph.add %mean4, %eps : tensor<?x1xf32>, tensor<f32> -> tensor<?x1xf32>
  %root4 = graph.sqrt %sum4 : tensor<?x1xf32> -> tensor<?x1xf32>
  // expected-remark@+1 {{the mean is not of squares}}
  %4 = graph.div %x, %root4 : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>

  // expected-remark@+1 {{what is divided is not what the squares are of}}
  %5 = graph.div %y, %root : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>

  // The mean of a reduction with another kind, and a root without one.
  %max = graph.reduce max %square axes [1] : tensor<?x8xf32> -> tensor<?x1xf32>
  %sum7 = graph.add %max, %eps : tensor<?x1xf32>, tensor<f32> -> tensor<?x1xf32>
  %root7 = graph.sqrt %sum7 : tensor<?x1xf32> -> tensor<?x1xf32>
  %6 = graph.div %x, %root7 : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>
  %root8 = graph.sqrt %row : tensor<1x8xf32> -> tensor<1x8xf32>
  %7 = graph.div %row, %root8 : tensor<1x8xf32>, tensor<1x8xf32> -> tensor<1x8xf32>
  return %0, %1, %2, %3, %4, %5, %7, %6 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<1x8xf32>, tensor<?x8xf32>
}

func.func @norm_of_f64(%x: tensor<?x8xf64>) -> tensor<?x8xf64> {
  %eps = graph.constant dense<9.99999974E-6> : tensor<f64>
  %square = graph.mul %x, %x : tensor<?x8xf64>, tensor<?x8xf64> -> tensor<?x8xf64>
  %mean = graph.reduce mean %square axes [1] : tensor<?x8xf64> -> tensor<?x1xf64>
  %sum = graph.add %mean, %eps : tensor<?x1xf64>, tensor<f64> -> tensor<?x1xf64>
  %root = graph.sqrt %sum : tensor<?x1xf64> -> tensor<?x1xf64>
  // expected-remark@+1 {{it is computed in f64}}
  %0 = graph.div %x, %root : tensor<?x8xf64>, tensor<?x1xf64> -> tensor<?x8xf64>
  return %0 : tensor<?x8xf64>
}

func.func @norm_broadcast(%x: tensor<8xf32>) -> tensor<1x8xf32> {
  %eps = graph.constant dense<9.99999974E-6> : tensor<1x1xf32>
  %square = graph.mul %x, %x : tensor<8xf32>, tensor<8xf32> -> tensor<8xf32>
  %mean = graph.reduce mean %square axes [0] : tensor<8xf32> -> tensor<1xf32>
  %sum = graph.add %mean, %eps : tensor<1xf32>, tensor<1x1xf32> -> tensor<1x1xf32>
  %root = graph.sqrt %sum : tensor<1x1xf32> -> tensor<1x1xf32>
  // expected-remark@+1 {{what is divided has not the type of the result}}
  %0 = graph.div %x, %root : tensor<8xf32>, tensor<1x1xf32> -> tensor<1x8xf32>
  return %0 : tensor<1x8xf32>
}

//===- GELU --------------------------------------------------------------------------------------------------------===//

func.func @gelus(%x: tensor<?x8xf32>, %up: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<1x?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %root = graph.constant dense<1.41421354> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %half = graph.constant dense<5.000000e-01> : tensor<f32>
  %third = graph.constant dense<3.333333e-01> : tensor<f32>
  %a = graph.div %x, %root : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %b = graph.erf %a : tensor<?x8xf32> -> tensor<?x8xf32>
  %gate = graph.add %b, %one : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %h1 = graph.mul %x, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  // expected-remark@+1 {{[Passed] Recognized | Category:simplify | Function=gelu | Form=gelu}}
  %0 = graph.mul %h1, %gate {tenon.id = "gelu"} : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>

  // Once, at the end of the whole product.
  %t1a = graph.mul %x, %gate : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  // expected-remark@+1 {{[Missed] NotRecognized | Category:simplify | Function=third | Form=gelu, Remark="it is not half of two factors"}}
  %1 = graph.mul %t1a, %third {tenon.id = "third"} : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>

  %t2a = graph.erf %x : tensor<?x8xf32> -> tensor<?x8xf32>
  %t2b = graph.add %t2a, %one : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %h2 = graph.mul %x, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  // expected-remark@+1 {{erf is not taken of the input over the square root of 2}}
  %2 = graph.mul %h2, %t2b : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>

  %t3a = graph.add %x, %up : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  %t3b = graph.tanh %t3a : tensor<?x8xf32> -> tensor<?x8xf32>
  %t3c = graph.add %t3b, %one : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %h3 = graph.mul %x, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  // expected-remark@+1 {{tanh is not taken of sqrt(2 / pi) * (x + 0.044715 * x * x * x)}}
  %3 = graph.mul %h3, %t3c : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>

  %wide = graph.constant dense<1.0> : tensor<1x1x1xf32>
  %t4a = graph.add %b, %wide : tensor<?x8xf32>, tensor<1x1x1xf32> -> tensor<1x?x8xf32>
  %h4 = graph.mul %x, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  // expected-remark@+1 {{the type of the input is not that of the result}}
  %4 = graph.mul %h4, %t4a : tensor<?x8xf32>, tensor<1x?x8xf32> -> tensor<1x?x8xf32>

  // Half of a product with a gate that no GELU has: a sigmoid's, and none.
  %t5a = graph.tanh %x : tensor<?x8xf32> -> tensor<?x8xf32>
  %t5b = graph.add %t5a, %one : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %h5 = graph.mul %x, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %5 = graph.mul %h5, %t5b : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  %h6 = graph.mul %x, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %6 = graph.mul %h6, %up : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  return %0, %1, %2, %3, %4, %5, %6 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<1x?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}

//===- rotary ------------------------------------------------------------------------------------------------------===//

func.func @rotary(%x: tensor<2x9x4x64xf32>, %f: tensor<4x32xf32>, %g: tensor<4x64xf32>, %own: tensor<9x4x32xf32>, %n: tensor<4x1xf32>) -> (tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>) {
  %lo = graph.slice %x from [0, 0, 0, 0] to [2, 9, 4, 32] step [1, 1, 1, 1] : tensor<2x9x4x64xf32> -> tensor<2x9x4x32xf32>
  %hi = graph.slice %x from [0, 0, 0, 32] to [2, 9, 4, 64] step [1, 1, 1, 1] : tensor<2x9x4x64xf32> -> tensor<2x9x4x32xf32>
  %neg = graph.neg %hi : tensor<2x9x4x32xf32> -> tensor<2x9x4x32xf32>
  %turned = graph.concat %neg, %lo axis 3 : (tensor<2x9x4x32xf32>, tensor<2x9x4x32xf32>) -> tensor<2x9x4x64xf32>
  %table = graph.concat %f, %f axis 1 : (tensor<4x32xf32>, tensor<4x32xf32>) -> tensor<4x64xf32>
  %straight = graph.mul %x, %table : tensor<2x9x4x64xf32>, tensor<4x64xf32> -> tensor<2x9x4x64xf32>

  %t0a = graph.mul %turned, %table : tensor<2x9x4x64xf32>, tensor<4x64xf32> -> tensor<2x9x4x64xf32>
  // expected-remark@+1 {{[Passed] Recognized | Category:simplify | Function=sum | Form=rotary}}
  %0 = graph.add %straight, %t0a {tenon.id = "sum"} : tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32> -> tensor<2x9x4x64xf32>

  %t1a = graph.mul %turned, %g : tensor<2x9x4x64xf32>, tensor<4x64xf32> -> tensor<2x9x4x64xf32>
  // expected-remark@+1 {{the halves of a table may differ}}
  %1 = graph.add %straight, %t1a : tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32> -> tensor<2x9x4x64xf32>

  %each = graph.concat %own, %own axis 2 : (tensor<9x4x32xf32>, tensor<9x4x32xf32>) -> tensor<9x4x64xf32>
  %t2a = graph.mul %turned, %each : tensor<2x9x4x64xf32>, tensor<9x4x64xf32> -> tensor<2x9x4x64xf32>
  // expected-remark@+1 {{heads have tables of their own}}
  %2 = graph.add %straight, %t2a : tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32> -> tensor<2x9x4x64xf32>

  %t3a = graph.mul %turned, %n : tensor<2x9x4x64xf32>, tensor<4x1xf32> -> tensor<2x9x4x64xf32>
  // expected-remark@+1 {{a table is not as long as the last dimension}}
  %3 = graph.add %straight, %t3a : tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32> -> tensor<2x9x4x64xf32>

  %neg4 = graph.neg %lo : tensor<2x9x4x32xf32> -> tensor<2x9x4x32xf32>
  %turned4 = graph.concat %neg4, %hi axis 3 : (tensor<2x9x4x32xf32>, tensor<2x9x4x32xf32>) -> tensor<2x9x4x64xf32>
  %t4a = graph.mul %turned4, %table : tensor<2x9x4x64xf32>, tensor<4x64xf32> -> tensor<2x9x4x64xf32>
  // expected-remark@+1 {{what the sines scale is not concat(-b, a) of the halves a and b of what the cosines scale}}
  %4 = graph.add %straight, %t4a : tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32> -> tensor<2x9x4x64xf32>

  // A sum of two products, of which none turns anything.
  %t5a = graph.mul %x, %g : tensor<2x9x4x64xf32>, tensor<4x64xf32> -> tensor<2x9x4x64xf32>
  %5 = graph.add %straight, %t5a : tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32> -> tensor<2x9x4x64xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>, tensor<2x9x4x64xf32>
}

func.func @rotary_of_other_sizes(%x: tensor<4x64xf32>, %lo: tensor<4x32xf32>, %y: tensor<2x9x4x?xf32>, %half: tensor<2x9x4x?xf32>) -> (tensor<4x64xf32>, tensor<2x9x4x?xf32>) {
  %neg = graph.neg %lo : tensor<4x32xf32> -> tensor<4x32xf32>
  %turned = graph.concat %neg, %lo axis 1 : (tensor<4x32xf32>, tensor<4x32xf32>) -> tensor<4x64xf32>
  %a = graph.mul %x, %x : tensor<4x64xf32>, tensor<4x64xf32> -> tensor<4x64xf32>
  %b = graph.mul %turned, %x : tensor<4x64xf32>, tensor<4x64xf32> -> tensor<4x64xf32>
  // expected-remark@+1 {{it is not of rank 4}}
  %0 = graph.add %a, %b : tensor<4x64xf32>, tensor<4x64xf32> -> tensor<4x64xf32>

  %negative = graph.neg %half : tensor<2x9x4x?xf32> -> tensor<2x9x4x?xf32>
  %turned1 = graph.concat %negative, %half axis 3 : (tensor<2x9x4x?xf32>, tensor<2x9x4x?xf32>) -> tensor<2x9x4x?xf32>
  %c = graph.mul %y, %y : tensor<2x9x4x?xf32>, tensor<2x9x4x?xf32> -> tensor<2x9x4x?xf32>
  %d = graph.mul %turned1, %y : tensor<2x9x4x?xf32>, tensor<2x9x4x?xf32> -> tensor<2x9x4x?xf32>
  // expected-remark@+1 {{its last dimension has no even, fixed size}}
  %1 = graph.add %c, %d : tensor<2x9x4x?xf32>, tensor<2x9x4x?xf32> -> tensor<2x9x4x?xf32>
  return %0, %1 : tensor<4x64xf32>, tensor<2x9x4x?xf32>
}

//===- attention ---------------------------------------------------------------------------------------------------===//

func.func @attention(%q: tensor<1x2x5x5xf32>, %k: tensor<1x2x5x5xf32>, %m: tensor<3x2x5x5xf32>, %b: tensor<3x1x1x1xf32>, %other: tensor<1x2x5x5xf32>) -> (tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<3x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>) {
  %cap = graph.constant dense<3.0> : tensor<f32>
  %scores = graph.matmul transpose_rhs %q, %k : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  %p = graph.softmax %scores axis 3 : tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  // expected-remark@+1 {{[Passed] Recognized | Category:simplify | Function=out | Form=attention}}
  %0 = graph.matmul %p, %k {tenon.id = "out"} : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>

  // expected-remark@+1 {{[Missed] NotRecognized | Category:simplify | Function=turned | Form=attention, Remark="the softmax or the values are read transposed"}}
  %1 = graph.matmul transpose_rhs %p, %k {tenon.id = "turned"} : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>

  %columns = graph.softmax %scores axis 2 : tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  // expected-remark@+1 {{the softmax is not along the last dimension}}
  %2 = graph.matmul %columns, %k : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>

  // A soft cap.
  %tanh = graph.tanh %scores : tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  %capped = graph.mul %tanh, %cap : tensor<1x2x5x5xf32>, tensor<f32> -> tensor<1x2x5x5xf32>
  %p3 = graph.softmax %capped axis 3 : tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  // expected-remark@+1 {{scores are more than a multiple of a product of query and key and a mask}}
  %3 = graph.matmul %p3, %k : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>

  %unturned = graph.matmul %q, %other : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  %p4 = graph.softmax %unturned axis 3 : tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  // expected-remark@+1 {{the key is not transposed}}
  %4 = graph.matmul %p4, %k : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>

  %masked = graph.add %scores, %m : tensor<1x2x5x5xf32>, tensor<3x2x5x5xf32> -> tensor<3x2x5x5xf32>
  %p5 = graph.softmax %masked axis 3 : tensor<3x2x5x5xf32> -> tensor<3x2x5x5xf32>
  // expected-remark@+1 {{the mask does not broadcast to the scores}}
  %5 = graph.matmul %p5, %k : tensor<3x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<3x2x5x5xf32>

  %turned = graph.matmul transpose_lhs transpose_rhs %q, %k : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  %p6 = graph.softmax %turned axis 3 : tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  // expected-remark@+1 {{the query is read transposed}}
  %6 = graph.matmul %p6, %k : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>

  %qq = graph.mul %q, %other : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  %scores7 = graph.matmul transpose_rhs %qq, %k : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  %p7 = graph.softmax %scores7 axis 3 : tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  // expected-remark@+1 {{the query or the key is a product of tensors}}
  %7 = graph.matmul %p7, %k : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>

  // A softmax of what no product makes, and a product of products.
  %p8 = graph.softmax %other axis 3 : tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  %t8a = graph.matmul %p8, %k : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  %8 = graph.matmul %t8a, %scores : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  return %0, %1, %2, %3, %4, %5, %6, %7, %8 : tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<3x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>
}

func.func @repeated(%q: tensor<3x2x5x8xf32>, %k: tensor<3x2x5x8xf32>, %one: tensor<1x2x5x8xf32>, %v: tensor<5x1xf32>) -> (tensor<3x2x5x1xf32>, tensor<3x2x5x8xf32>) {
  %0 = graph.matmul transpose_rhs %q, %k : tensor<3x2x5x8xf32>, tensor<3x2x5x8xf32> -> tensor<3x2x5x5xf32>
  %1 = graph.softmax %0 axis 3 : tensor<3x2x5x5xf32> -> tensor<3x2x5x5xf32>
  // expected-remark@+1 {{the query, the key or the values are repeated for all heads}}
  %2 = graph.matmul %1, %v : tensor<3x2x5x5xf32>, tensor<5x1xf32> -> tensor<3x2x5x1xf32>
  // expected-remark@+1 {{one of several is repeated for the whole batch}}
  %3 = graph.matmul %1, %one : tensor<3x2x5x5xf32>, tensor<1x2x5x8xf32> -> tensor<3x2x5x8xf32>
  return %2, %3 : tensor<3x2x5x1xf32>, tensor<3x2x5x8xf32>
}

func.func @heads_without_kernels(%q: tensor<1x2x5x513xf32>, %v: tensor<1x2x5x8xf32>, %d: tensor<1x2x5x8xf64>, %n: tensor<1x2x5x?xf32>) -> (tensor<1x2x5x8xf32>, tensor<1x2x5x8xf64>, tensor<1x2x5x?xf32>) {
  %0 = graph.matmul transpose_rhs %q, %q : tensor<1x2x5x513xf32>, tensor<1x2x5x513xf32> -> tensor<1x2x5x5xf32>
  %1 = graph.softmax %0 axis 3 : tensor<1x2x5x5xf32> -> tensor<1x2x5x5xf32>
  // expected-remark@+1 {{there are no kernels for heads of its type}}
  %2 = graph.matmul %1, %v : tensor<1x2x5x5xf32>, tensor<1x2x5x8xf32> -> tensor<1x2x5x8xf32>
  %3 = graph.matmul transpose_rhs %d, %d : tensor<1x2x5x8xf64>, tensor<1x2x5x8xf64> -> tensor<1x2x5x5xf64>
  %4 = graph.softmax %3 axis 3 : tensor<1x2x5x5xf64> -> tensor<1x2x5x5xf64>
  // expected-remark@+1 {{there are no kernels for heads of its type}}
  %5 = graph.matmul %4, %d : tensor<1x2x5x5xf64>, tensor<1x2x5x8xf64> -> tensor<1x2x5x8xf64>
  // expected-remark@+1 {{there are no kernels for heads of its type}}
  %6 = graph.matmul %1, %n : tensor<1x2x5x5xf32>, tensor<1x2x5x?xf32> -> tensor<1x2x5x?xf32>
  return %2, %5, %6 : tensor<1x2x5x8xf32>, tensor<1x2x5x8xf64>, tensor<1x2x5x?xf32>
}

func.func @attention_of_other_sizes(%q: tensor<?x7x8xf32>, %r: tensor<2x7x8xf32>, %k: tensor<1x2x7x8xf32>) -> (tensor<?x7x8xf32>, tensor<1x2x7x8xf32>) {
  %scores = graph.matmul transpose_rhs %q, %q : tensor<?x7x8xf32>, tensor<?x7x8xf32> -> tensor<?x7x7xf32>
  %p = graph.softmax %scores axis 2 : tensor<?x7x7xf32> -> tensor<?x7x7xf32>
  // expected-remark@+1 {{its product is not of rank 4}}
  %0 = graph.matmul %p, %q : tensor<?x7x7xf32>, tensor<?x7x8xf32> -> tensor<?x7x8xf32>

  %scale = graph.constant dense<2.0> : tensor<1x1x1x1xf32>
  %scaled = graph.mul %r, %scale : tensor<2x7x8xf32>, tensor<1x1x1x1xf32> -> tensor<1x2x7x8xf32>
  %scores1 = graph.matmul transpose_rhs %scaled, %k : tensor<1x2x7x8xf32>, tensor<1x2x7x8xf32> -> tensor<1x2x7x7xf32>
  %p1 = graph.softmax %scores1 axis 3 : tensor<1x2x7x7xf32> -> tensor<1x2x7x7xf32>
  // expected-remark@+1 {{a scale changes the type of the query or the key}}
  %1 = graph.matmul %p1, %k : tensor<1x2x7x7xf32>, tensor<1x2x7x8xf32> -> tensor<1x2x7x8xf32>
  return %0, %1 : tensor<?x7x8xf32>, tensor<1x2x7x8xf32>
}

//===- heads -------------------------------------------------------------------------------------------------------===//

func.func @heads(%q: tensor<1x6x5x8xf32>, %three: tensor<1x3x5x8xf32>, %two: tensor<1x2x5x8xf32>, %all: tensor<1x6x5x8xf32>) -> (tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>) {
  %a = graph.reshape %three to [1, 3, 1, 5, 8] {allow_zero} : tensor<1x3x5x8xf32> -> tensor<1x3x1x5x8xf32>
  %b = graph.broadcast %a to [1, 3, 2, 5, 8] : tensor<1x3x1x5x8xf32> -> tensor<1x3x2x5x8xf32>
  %c = graph.reshape %b to [1, 6, 5, 8] {allow_zero} : tensor<1x3x2x5x8xf32> -> tensor<1x6x5x8xf32>
  %d = graph.reshape %two to [1, 2, 1, 5, 8] {allow_zero} : tensor<1x2x5x8xf32> -> tensor<1x2x1x5x8xf32>
  %e = graph.broadcast %d to [1, 2, 3, 5, 8] : tensor<1x2x1x5x8xf32> -> tensor<1x2x3x5x8xf32>
  %f = graph.reshape %e to [1, 6, 5, 8] {allow_zero} : tensor<1x2x3x5x8xf32> -> tensor<1x6x5x8xf32>
  // expected-remark@+1 {{[Passed] Recognized | Category:simplify | Function=three | Form="grouped heads"}}
  %0 = graph.attention %q, %c, %c scale 1.0 {tenon.id = "three"} : (tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>) -> tensor<1x6x5x8xf32>
  // expected-remark@+1 {{only the keys or only the values repeat each head in place}}
  %1 = graph.attention %q, %c, %all scale 1.0 : (tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>) -> tensor<1x6x5x8xf32>
  // expected-remark@+1 {{keys and values have different numbers of heads}}
  %2 = graph.attention %q, %c, %f scale 1.0 : (tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>) -> tensor<1x6x5x8xf32>
  // As many heads of each.
  %3 = graph.attention %q, %all, %all scale 1.0 : (tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>) -> tensor<1x6x5x8xf32>
  return %0, %1, %2, %3 : tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>, tensor<1x6x5x8xf32>
}

//===- causal masks ------------------------------------------------------------------------------------------------===//

func.func @masks(%q: tensor<1x2x5x8xf32>, %padding: tensor<1x1x1x5xi1>, %bias: tensor<1x1x5x5xf32>) -> (tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) {
  %c0 = arith.constant 0 : index
  %c5 = arith.constant 5 : index
  %zero = graph.constant dense<0.0> : tensor<f32>
  %low = graph.constant dense<-3.40282347E+38> : tensor<f32>
  %j = graph.iota %c0 step 1 size %c5 : tensor<5xi64>
  %i = graph.reshape %j to [5, 1] {allow_zero} : tensor<5xi64> -> tensor<5x1xi64>
  %causal = graph.less_equal %j, %i : tensor<5xi64>, tensor<5x1xi64> -> tensor<5x5xi1>
  // expected-remark@+1 {{[Passed] Recognized | Category:simplify | Function=causal | Form="causal mask"}}
  %0 = graph.attention %q, %q, %q mask %causal scale 1.0 {tenon.id = "causal"} : (tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<5x5xi1>) -> tensor<1x2x5x8xf32>

  %shown = graph.and %causal, %padding : tensor<5x5xi1>, tensor<1x1x1x5xi1> -> tensor<1x1x5x5xi1>
  %finite = graph.where %shown, %zero, %low : tensor<1x1x5x5xi1>, tensor<f32>, tensor<f32> -> tensor<1x1x5x5xf32>
  // expected-remark@+1 {{it adds a number that is not minus infinity, which hides no key from a row that sees no other}}
  %1 = graph.attention %q, %q, %q mask %finite scale 1.0 : (tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x1x5x5xf32>) -> tensor<1x2x5x8xf32>

  %before = graph.less %j, %i : tensor<5xi64>, tensor<5x1xi64> -> tensor<5x5xi1>
  %both = graph.and %padding, %before : tensor<1x1x1x5xi1>, tensor<5x5xi1> -> tensor<1x1x5x5xi1>
  // expected-remark@+1 {{it compares positions, but does not show query i exactly the keys up to i + keys - queries}}
  %2 = graph.attention %q, %q, %q mask %both scale 1.0 : (tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x1x5x5xi1>) -> tensor<1x2x5x8xf32>

  // Padding alone, and a bias.
  %3 = graph.attention %q, %q, %q mask %padding scale 1.0 : (tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x1x1x5xi1>) -> tensor<1x2x5x8xf32>
  %4 = graph.attention %q, %q, %q mask %bias scale 1.0 : (tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x1x5x5xf32>) -> tensor<1x2x5x8xf32>
  return %0, %1, %2, %3, %4 : tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>
}

//===- products of integers ---------------------------------------------------------------------------------------===//

func.func @products(%x: tensor<?x8xui8>, %y: tensor<?x8xf32>, %h: tensor<?x8xui16>, %w: tensor<8x16xi8>, %s: tensor<f32>, %t: tensor<8x1xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<8x8xf32>) {
  %a = graph.dequantize %x scale %s : (tensor<?x8xui8>, tensor<f32>) -> tensor<?x8xf32>
  %b = graph.dequantize %w scale %s : (tensor<8x16xi8>, tensor<f32>) -> tensor<8x16xf32>
  // expected-remark@+1 {{[Passed] Recognized | Category:simplify | Function=product | Form="product of integers"}}
  %0 = graph.matmul %a, %b {tenon.id = "product"} : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>

  // expected-remark@+1 {{[Missed] NotRecognized | Category:simplify | Function=float | Form="product of integers", Remark="the left operand is not quantized"}}
  %1 = graph.matmul %y, %b {tenon.id = "float"} : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>

  %c = graph.dequantize %h scale %s : (tensor<?x8xui16>, tensor<f32>) -> tensor<?x8xf32>
  // expected-remark@+1 {{an operand has more than 8 bits}}
  %2 = graph.matmul %c, %b : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>

  %d = graph.dequantize %w scale %t : (tensor<8x16xi8>, tensor<8x1xf32>) -> tensor<8x16xf32>
  // expected-remark@+1 {{a scale or zero point varies along the contracted dimension}}
  %3 = graph.matmul %a, %d : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>

  // expected-remark@+1 {{the right operand is not quantized}}
  %4 = graph.matmul transpose_lhs %a, %y : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<8x8xf32>
  return %0, %1, %2, %3, %4 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<8x8xf32>
}
