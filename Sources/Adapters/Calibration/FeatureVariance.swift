package import VisionTransformers

extension MergeTuner {
    /// The variance of each part of the features (see `FeatureParts`) that a task's single adapter gives
    /// of the task's images, summed over the part's elements.
    ///
    /// - Parameter limit: how many images are looked at, of those that are not held out.
    /// - Throws: `ModelError`, `FileError`, `ComputeError`.
    package func featureVariances(of task: String, limit: Int = 200) throws -> [Double] {
        let table = try single(task, limit).fitted
        let (rows, parts) = (Double(max(table.rows, 1)), base.configuration.featureParts)
        return table.values.withUnsafeBufferPointer { values in
            (0..<parts).map { part in
                (part * table.width / parts..<(part + 1) * table.width / parts).reduce(0) { total, column in
                    var (sum, squares) = (0.0, 0.0)
                    for row in 0..<table.rows {
                        let value = Double(values[row * table.width + column])
                        sum += value
                        squares += value * value
                    }
                    return total + squares / rows - (sum / rows) * (sum / rows)
                }
            }
        }
    }

    /// The variance of each output of a task's own head over what the single adapter gives of the images that are
    /// fitted.
    ///
    /// - Parameter limit: how many images are looked at.
    /// - Throws: `ModelError`, `FileError`, `ComputeError`.
    package func outputVariances(of head: Head, limit: Int = 200) throws -> [Double] {
        let table = try single(head.task, limit).fitted
        let outputs = (0..<table.rows).map { table.logits($0, head) }
        let count = Double(max(table.rows, 1))
        return head.classes.indices.map { output in
            let mean = outputs.reduce(0) { $0 + $1[output] } / count
            return outputs.reduce(0) { $0 + ($1[output] - mean) * ($1[output] - mean) } / count
        }
    }
}
