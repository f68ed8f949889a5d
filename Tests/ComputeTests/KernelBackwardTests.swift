import Compute
import Tensors
import TestSupport
import Testing

/// The gradient of `Σ weights · function(x)` by central differences.
func differences(_ x: [Float], _ weights: [Float], _ function: ([Float]) -> [Float]) -> [Float] {
    func value(_ x: [Float]) -> Double { zip(function(x), weights).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
    let step: Float = 0x1p-8
    return x.indices.map { index in
        var (above, below) = (x, x)
        above[index] += step
        below[index] -= step
        return Float((value(above) - value(below)) / Double(above[index] - below[index]))
    }
}

/// The references go backward as differences say.
@Suite struct ReferenceBackwardTests {
    @Test func linear() {
        var noise = Noise(state: 11)
        let (rows, inputs, outputs) = (3, 5, 4)
        let (source, weight) = (noise.values(rows * inputs), noise.values(outputs * inputs))
        let gradient = noise.values(rows * outputs)
        let backward = Reference.linearBackward(
            gradient, source: source, weight: weight, rows: rows, inputs: inputs, outputs: outputs)
        let fromSource = differences(source, gradient) {
            Reference.linear($0, weight: weight, bias: nil, rows: rows, inputs: inputs, outputs: outputs)
        }
        let fromWeight = differences(weight, gradient) {
            Reference.linear(source, weight: $0, bias: nil, rows: rows, inputs: inputs, outputs: outputs)
        }
        #expect(distance(backward.source, fromSource) < 1e-4)
        #expect(distance(backward.weight, fromWeight) < 1e-4)
    }

    @Test(arguments: [Activation.gelu, .geluTanh, .swish(alpha: 1), .swish(alpha: 1.702), .relu])
    func activation(_ activation: Activation) {
        for x in stride(from: -6.05, to: 6, by: 0.1) {
            let step = 1e-5
            let slope =
                (Reference.apply(activation, to: x + step) - Reference.apply(activation, to: x - step)) / (2 * step)
            #expect(abs(Reference.derivative(activation, at: x) - slope) < 1e-8)
        }
    }

    @Test func softmax() {
        var noise = Noise(state: 12)
        let (row, gradient) = (noise.values(9), noise.values(9))
        let backward = Reference.softmaxBackward(gradient, probabilities: Reference.softmax(row))
        #expect(distance(backward, differences(row, gradient, Reference.softmax)) < 1e-3)
    }

    @Test func layerNorm() {
        var noise = Noise(state: 13)
        let (row, scale, gradient) = (noise.values(8), noise.values(8), noise.values(8))
        let backward = Reference.layerNormBackward(gradient, row: row, scale: scale, epsilon: 1e-2)
        let expected = differences(row, gradient) {
            Reference.layerNorm($0, scale: scale, shift: scale, epsilon: 1e-2)
        }
        #expect(distance(backward, expected) < 1e-3)
    }
}

/// The kernels go backward as the references do.
@Suite struct KernelBackwardTests {
    let engine: KernelEngine
    init() throws { engine = try KernelEngine() }

    func run(_ kernel: Kernel, _ source: Operand, _ weights: Operand, to destination: Operand) throws {
        try KernelCall(
            kernel, source: source, weights: weights, destination: destination,
            scratch: FloatBuffer(count: kernel.scratchCount)
        ).run()
    }

    @Test(arguments: [(1, 7, 5), (17, 48, 96), (65, 192, 64)])
    func linearSourceGradient(rows: Int, inputs: Int, outputs: Int) throws {
        var noise = Noise(state: 21)
        let (gradient, weight) = (noise.values(rows * outputs), noise.values(outputs * inputs))
        let kernel = try Kernel.linear(engine, rows: rows, inputs: outputs, outputs: inputs, hasBias: false)
        let packed = try kernel.pack(weight, transposed: true)
        let result = FloatBuffer(count: rows * inputs)
        try run(kernel, Operand(FloatBuffer(gradient)), Operand(packed), to: Operand(result))
        let expected = Reference.linearBackward(
            gradient, source: [Float](repeating: 0, count: rows * inputs), weight: weight, rows: rows, inputs: inputs,
            outputs: outputs)
        #expect(distance(Array(result.elements), expected.source) < 2e-6)
    }

    @Test(arguments: [(1, 7, 5), (17, 48, 96), (65, 16, 64)])
    func linearWeightGradientIsAdded(rows: Int, inputs: Int, outputs: Int) throws {
        var noise = Noise(state: 22)
        let stride = outputs + 3
        let (wide, source) = (noise.values(rows * stride), noise.values(rows * inputs))
        let before = noise.values(outputs * inputs)
        let kernel = try Kernel.product(
            engine, m: outputs, k: rows, n: inputs, sourceStride: stride, sourceTransposed: true, otherStride: inputs,
            transposed: false, outputStride: inputs, accumulates: true)
        let result = FloatBuffer(before)
        try run(kernel, Operand(FloatBuffer(wide), offset: 2), Operand(FloatBuffer(source)), to: Operand(result))
        let gradient = (0..<rows * outputs).map { wide[$0 / outputs * stride + $0 % outputs + 2] }
        let added = Reference.linearBackward(
            gradient, source: source, weight: [Float](repeating: 0, count: outputs * inputs), rows: rows,
            inputs: inputs, outputs: outputs)
        #expect(distance(Array(result.elements), zip(before, added.weight).map(+)) < 2e-6)
    }

    @Test(arguments: [Activation.gelu, .geluTanh, .swish(alpha: 1), .swish(alpha: 1.702), .relu])
    func activation(_ activation: Activation) throws {
        let (rows, columns) = (5, 67)
        var noise = Noise(state: 23)
        let (source, gradient) = (noise.values(rows * columns).map { $0 * 6 }, noise.values(rows * columns))
        let forward = try Kernel.activation(engine, activation, rows: rows, columns: columns)
        let backward = try Kernel.activationBackward(engine, activation, rows: rows, columns: columns)
        let (from, to, changed) = (FloatBuffer(source), FloatBuffer(count: rows * columns), FloatBuffer(gradient))
        let scratch = FloatBuffer(count: max(forward.scratchCount, backward.scratchCount))
        try KernelCall(forward, source: Operand(from), destination: Operand(to), scratch: scratch).run()
        try KernelCall(
            backward, source: Operand(from), multiplier: Operand(changed), destination: Operand(changed),
            scratch: scratch
        ).run()
        #expect(distance(Array(to.elements), source.map { Float(Reference.apply(activation, to: Double($0))) }) < 2e-6)
        let expected = zip(source, gradient).map {
            Float(Reference.derivative(activation, at: Double($0)) * Double($1))
        }
        #expect(distance(Array(changed.elements), expected) < 2e-6)
    }

    @Test(arguments: [(1, 1), (5, 17), (65, 65), (3, 197)])
    func softmax(rows: Int, columns: Int) {
        var noise = Noise(state: 24)
        let probabilities = (0..<rows).map { _ in Reference.softmax(noise.values(columns).map { $0 * 5 }) }
        let gradient = (0..<rows).map { _ in noise.values(columns) }
        let changed = FloatBuffer(gradient.flatMap(\.self))
        RowKernels.softmaxBackward(
            probabilities: probabilities.flatMap(\.self), gradient: changed.base, rows: rows, columns: columns)
        let expected = zip(gradient, probabilities).flatMap { Reference.softmaxBackward($0, probabilities: $1) }
        #expect(distance(Array(changed.elements), expected) < 2e-6)
    }

    @Test(arguments: [(1, 8), (5, 48), (3, 77), (3, 768)])
    func layerNorm(rows: Int, columns: Int) {
        var noise = Noise(state: 25)
        let source = noise.values(rows * columns).map { $0 * 3 + 1 }
        let (scale, gradient, before) = (
            noise.values(columns), noise.values(rows * columns), noise.values(rows * columns)
        )
        let sum = FloatBuffer(before)
        RowKernels.addLayerNormBackward(
            input: source, scale: scale, epsilon: 1e-6, gradient: gradient, to: sum.base, rows: rows, columns: columns)
        let added = (0..<rows).flatMap { row in
            let range = row * columns..<(row + 1) * columns
            return Reference.layerNormBackward(
                Array(gradient[range]), row: Array(source[range]), scale: scale, epsilon: 1e-6)
        }
        #expect(distance(Array(sum.elements), zip(before, added).map(+)) < 5e-6)
    }

    @Test(arguments: [1, 16, 53])
    func vectors(count: Int) {
        var noise = Noise(state: 26)
        let (a, b) = (noise.values(count), noise.values(count))
        let exact = zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        #expect(abs(Double(RowKernels.dot(a, b, count: count)) - exact) < 1e-5)
        let (sum, product) = (FloatBuffer(b), FloatBuffer(a))
        RowKernels.add(a, times: 0.5, to: sum.base, count: count)
        RowKernels.multiply(product.base, b, into: product.base, count: count)
        #expect(distance(Array(sum.elements), zip(a, b).map { 0.5 * $0 + $1 }) < 1e-6)
        #expect(Array(product.elements) == zip(a, b).map { $0 * $1 })
    }
}

@Suite struct DropoutTests {
    @Test(arguments: [0, 0.1, 0.5, 0.99])
    func matchesReference(probability: Double) {
        var noise = Noise(state: 31)
        let dropout = Dropout(probability: probability)
        for count in [1, 2, 17, 1000] {
            let (source, before) = (noise.values(count), noise.values(count))
            let (result, sum) = (FloatBuffer(count: count), FloatBuffer(before))
            dropout.apply(source, into: result.base, count: count, key: 5)
            dropout.add(source, to: sum.base, count: count, key: 5)
            let expected = Reference.dropout(source, probability: probability, key: 5)
            #expect(Array(result.elements) == expected)
            #expect(distance(Array(sum.elements), zip(before, expected).map(+)) < 1e-6)
        }
    }

    @Test func dropsTheShareThatItShould() {
        let ones = [Float](repeating: 1, count: 100_000)
        let result = FloatBuffer(count: ones.count)
        Dropout(probability: 0.3).apply(ones, into: result.base, count: ones.count, key: Dropout.key(1, 2, 3))
        let dropped = result.elements.count { $0 == 0 }
        #expect(abs(dropped - 30_000) < 600)
        #expect(Dropout.key(1, 2, 3) != Dropout.key(1, 3, 2))
    }
}

@Suite struct AdamWTests {
    @Test func matchesReference() {
        var noise = Noise(state: 41)
        let count = 37
        let settings = AdamW(weightDecay: 0.05)
        let start = noise.values(count)
        let (parameters, first, second) = (
            FloatBuffer(start), FloatBuffer([Float](repeating: 0, count: count)),
            FloatBuffer([Float](repeating: 0, count: count))
        )
        var expected = start.map { (parameter: $0, moments: (Float(0), Float(0))) }
        for step in 1...5 {
            let gradient = noise.values(count)
            settings.update(
                parameters.base, gradient: gradient, moments: (first.base, second.base), count: count, step: step,
                learningRate: 0.01)
            expected = zip(expected, gradient).map {
                Reference.adamW(
                    settings, parameter: $0.parameter, gradient: $1, moments: $0.moments, step: step,
                    learningRate: 0.01)
            }
            #expect(distance(Array(parameters.elements), expected.map(\.parameter)) < 1e-6)
            #expect(distance(Array(second.elements), expected.map(\.moments.1)) < 1e-6)
        }
    }
}
