import Testing

@testable import Compute

/// Weights rounded to eight bits, to the nearest steps and for inputs that were seen.
@Suite struct Int8WeightTests {
    /// Numbers of -1...1, the same in every run.
    private static func noise(_ count: Int, _ seed: UInt64) -> [Float] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int32(truncatingIfNeeded: state >> 32)) / 2_147_483_648
        }
    }

    /// Inputs of which each resembles its neighbours, and the mean of their products.
    private static func seen(_ rows: Int, _ inputs: Int) -> (values: [Float], moments: Matrix) {
        let own = noise(rows * inputs, 3)
        let shared = noise(rows, 4)
        let values = own.indices.map { 0.3 * own[$0] + shared[$0 / inputs] * Float($0 % inputs + 1) / Float(inputs) }
        var moments = Matrix(rows: inputs, columns: inputs)
        for row in 0..<rows {
            for a in 0..<inputs {
                for b in 0..<inputs {
                    let product = Double(values[row * inputs + a]) * Double(values[row * inputs + b])
                    moments[a, b] += product / Double(rows)
                }
            }
        }
        return (values, moments)
    }

    /// The mean square of what rounding changes in a layer's results.
    private static func error(_ rounded: Int8.Weight, _ weight: [Float], _ values: [Float]) -> Double {
        let outputs = rounded.scale.count
        let inputs = weight.count / outputs
        var sum = 0.0
        for row in stride(from: 0, to: values.count, by: inputs) {
            for output in 0..<outputs {
                var change = 0.0
                for input in 0..<inputs {
                    let index = output * inputs + input
                    let step = Double(Float(rounded.values[index]) * rounded.scale[output] - weight[index])
                    change += step * Double(values[row + input])
                }
                sum += change * change
            }
        }
        return sum / Double(values.count / inputs * outputs)
    }

    @Test func weightsAreRoundedByOutput() {
        let weight = Self.noise(5 * 19, 5)
        let rounded = Int8.Weight(weight, outputs: 5)
        for output in 0..<5 {
            let row = weight[output * 19..<(output + 1) * 19]
            #expect(abs(rounded.scale[output] - (row.map(abs).max() ?? 0) / 127) < 1e-8)
            var sum = 0
            for (column, value) in row.enumerated() {
                let whole = rounded.values[output * 19 + column]
                #expect(abs(Float(whole) * rounded.scale[output] - value) <= rounded.scale[output] * 0.501)
                sum += Int(whole)
            }
            #expect(rounded.sums[output] == sum)
        }
    }

    /// Each value is what remains to be said after the errors of those before it: the definition, in double precision.
    @Test(arguments: [(3, 5), (64, 40), (70, 33)])
    func valuesAreRoundedInTurn(_ outputs: Int, _ inputs: Int) throws {
        let (weight, moments) = (Self.noise(outputs * inputs, 6), Self.seen(90, inputs).moments)
        let found = try Int8.Weight(weight, outputs: outputs, moments: moments)
        let order = (0..<inputs).sorted { moments[$0, $0] < moments[$1, $1] }
        let mean = (0..<inputs).reduce(0) { $0 + moments[$1, $1] } / Double(inputs)
        var ordered = Matrix(rows: inputs, columns: inputs)
        for a in 0..<inputs {
            for b in 0..<inputs { ordered[a, b] = moments[order[a], order[b]] + (a == b ? 0.01 * mean : 0) }
        }
        let root = try ordered.choleskyFactor()
        for output in 0..<outputs {
            let step = Double(found.scale[output])
            var errors = [Double](repeating: 0, count: inputs)
            for place in (0..<inputs).reversed() {
                let index = output * inputs + order[place]
                let owed = (place + 1..<inputs).reduce(0) { $0 + root[place, $1] * errors[$1] } / root[place, place]
                let wanted = min(max((Double(weight[index]) + owed) / step, -127), 127)
                // Where single precision may fall on the other side of a half, the value found is as good.
                let whole = Double(found.values[index])
                #expect(abs(whole - wanted) < 0.5 + 1e-3)
                errors[place] = Double(weight[index]) - whole * step
            }
        }
    }

    @Test(arguments: [16, 100]) func resultsChangeLess(_ inputs: Int) throws {
        let (weight, seen) = (Self.noise(24 * inputs, 7), Self.seen(4 * inputs, inputs))
        let nearest = Self.error(Int8.Weight(weight, outputs: 24), weight, seen.values)
        let rounded = try Int8.Weight(weight, outputs: 24, moments: seen.moments)
        let found = Self.error(rounded, weight, seen.values)
        #expect(found < 0.7 * nearest, "\(found) of \(nearest)")
    }

    /// Inputs that have nothing to do with each other leave nothing to make up for.
    @Test func independentInputsAreRoundedToTheNearest() throws {
        let weight = Self.noise(9 * 21, 8)
        let moments = Matrix.diagonal((0..<21).map { Double($0 % 5 + 1) })
        #expect(try Int8.Weight(weight, outputs: 9, moments: moments) == Int8.Weight(weight, outputs: 9))
        // Nor do inputs that are always zero, or weights.
        let none = Matrix(rows: 21, columns: 21)
        #expect(try Int8.Weight(weight, outputs: 9, moments: none) == Int8.Weight(weight, outputs: 9))
        let zeros = try Int8.Weight([Float](repeating: 0, count: 42), outputs: 2, moments: Self.seen(30, 21).moments)
        #expect(zeros.values.allSatisfy { $0 == 0 })
    }

    /// Numbers of a broken checkpoint, which is told elsewhere.
    @Test func whatIsNoNumberBecomesOne() throws {
        for value in [Float.nan, .infinity, -.infinity] {
            #expect(Int8.Weight([value, 1], outputs: 1).values.allSatisfy { $0 >= -127 })
            let moments = Matrix.diagonal([1, 2])
            #expect(try Int8.Weight([1, value], outputs: 1, moments: moments).values.allSatisfy { $0 >= -127 })
        }
    }

    @Test func momentsThatAreNoNumbersAreRefused() {
        var moments = Matrix.diagonal([1, 1])
        moments[0, 1] = .nan
        moments[1, 0] = .nan
        #expect(throws: ComputeError.self) { try Int8.Weight([1, 2], outputs: 1, moments: moments) }
    }

    @Test func momentsAreThoseOfTheRows() {
        let (rows, size) = (50, 7)
        let values = Self.noise(rows * size, 9).enumerated().map { $1 + Float($0 % size) }
        let moments = InputMoments(size: size)
        moments.add(values, rows: 20)
        values.withUnsafeBufferPointer { moments.add($0.baseAddress! + 20 * size, rows: 30) }
        #expect(moments.rows == rows)
        let divisor = (0..<size).map { Float($0 + 1) }
        let covariances = moments.covariances(dividedBy: divisor)
        func column(_ channel: Int) -> [Double] { (0..<rows).map { Double(values[$0 * size + channel]) } }
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
        for a in 0..<size {
            #expect(abs(Double(moments.mean[a]) - mean(column(a))) < 1e-5)
            for b in 0..<size {
                let expected = mean(zip(column(a), column(b)).map { $0 * $1 }) - mean(column(a)) * mean(column(b))
                let found = covariances[a, b] * Double(divisor[a]) * Double(divisor[b])
                #expect(abs(found - expected) < 1e-4)
                if a == b { #expect(abs(Double(moments.deviation[a]) - expected.squareRoot()) < 1e-4) }
            }
        }
    }

    @Test func choleskyFactorsMultiplyBack() throws {
        let seen = Self.seen(40, 11).moments
        let root = try seen.choleskyFactor()
        #expect((Matrix.product(root, transposed: true, root, transposed: false) - seen).norm < 1e-9 * seen.norm)
        for row in 0..<11 { for column in 0..<row { #expect(root[row, column] == 0) } }
        #expect(throws: ComputeError.self) { try Matrix.diagonal([1, -1]).choleskyFactor() }
    }
}
