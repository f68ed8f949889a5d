import Datasets
import Glibc
package import Labelling

/// Prepares a file of text: its number is the image. Odd files can be made to fail, and to take their time.
package struct FakePreparer: ImagePreparing {
    package struct Refusal: Error, CustomStringConvertible {
        package let description: String
    }

    package let valuesPerImage = 3
    package var yields = 0

    package init(yields: Int = 0) { self.yields = yields }

    package func prepare(_ encoded: UnsafeRawBufferPointer, into output: UnsafeMutableBufferPointer<Float>) throws {
        let text = String(decoding: encoded, as: UTF8.self)
        for _ in 0..<(yields > 0 ? Int.random(in: 0..<yields) : 0) { sched_yield() }
        guard let value = Float(text) else { throw Refusal(description: "not a number, but \"\(text)\"") }
        for index in output.indices { output[index] = value }
    }
}

/// Answers for each image by its number alone.
package final class FakeClassifier: MultitaskClassifying {
    package let tasks = [
        TaskLabels(name: "a", classes: ["0", "1", "2"]), TaskLabels(name: "b", classes: ["no", "yes"]),
    ]
    package let featureColumns = [
        FeatureColumns(tasks: ["a"], columns: 0..<2), FeatureColumns(tasks: ["b"], columns: 2..<3),
    ]
    package var batches: [Int] = []
    /// The batch that fails, if one is to.
    package var failure: Int?

    package init() {}

    package func logits(
        _ inputs: UnsafeBufferPointer<Float>, images: Int, into output: UnsafeMutableBufferPointer<Float>,
        features: UnsafeMutablePointer<Float>?
    ) throws {
        batches.append(images)
        if batches.count == failure { throw FakePreparer.Refusal(description: "out of order") }
        precondition(inputs.count == images * 3 && output.count == images * 5)
        for image in 0..<images {
            let value = inputs[image * 3 + 2]
            for column in 0..<3 { features?[image * 3 + column] = value + Float(column) / 4 }
            for (index, logit) in [sin(value), cos(value), value / 100, value, -value].enumerated() {
                output[image * 5 + index] = value == 13 ? .nan : logit
            }
        }
    }
}
