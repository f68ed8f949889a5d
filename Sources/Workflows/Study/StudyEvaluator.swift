import Adapters
import Compute
import Evaluation
import Glibc
import Labelling
import Tensors
import Training
import VisionTransformers

/// Evaluates backbones on the pictures of a study's tasks.
struct StudyEvaluator {
    let material: StudyInputs
    let passes: PassSettings
    let pool: WorkerPool

    /// A backbone's features of the pictures of some tasks.
    struct Features {
        let width: Int
        /// By the index of the task.
        let tables: [Int: FloatBuffer]

        /// The features of a task's pictures, a row each.
        func table(_ task: Int) -> FeatureTable? {
            tables[task].map { FeatureTable(rows: $0.count / max(width, 1), width: width, values: Array($0.elements)) }
        }
    }

    /// Computes a backbone's features of the pictures of some tasks.
    ///
    /// - Parameters:
    ///   - tasks: the indices of the tasks.
    ///   - stream: a stream, whose features these are then.
    ///   - progress: called with the number of finished pictures; an error that it throws ends the work.
    func features(
        _ source: some ParameterSource, tasks: [Int], stream: TaskStream? = nil, progress: (_ done: Int) throws -> Void
    ) throws -> Features {
        let extractor = try FeatureExtractor(
            source, configuration: material.base.configuration, preparer: material.preparer, passes: passes,
            streams: stream.map { TaskStreams(base: material.base, streams: [$0]) })
        var before = 0
        var tables: [Int: FloatBuffer] = [:]
        for task in tasks {
            let pictures = material.tasks[task].pictures.pictures
            tables[task] = try extractor.features(of: pictures, mirrored: false, pool: pool) {
                try progress(before + $0)
            }
            before += pictures.count
        }
        return Features(width: extractor.width, tables: tables)
    }

    /// The pictures of a task that a head classifies correctly.
    func masks(_ head: Head, _ features: Features, task: Int) -> CorrectnessMask {
        guard let table = features.tables[task] else { return CorrectnessMask([]) }
        let predictions = head.predictions(UnsafeBufferPointer(table.elements), width: features.width)
        return CorrectnessMask(zip(predictions, material.tasks[task].pictures.classes).map { $0 == $1 })
    }

    /// The similarity of every two tasks: of their task vectors, and of the base's features of their pictures.
    ///
    /// - Parameter features: the base's, of all tasks.
    func similarities(_ features: Features) throws -> [TaskSimilarity] {
        let interference = try Interference(material.tasks.map(\.adapter), base: material.base)
        let spreads = material.tasks.indices.map { task in
            Spread(features.tables[task], width: features.width, read: material.tasks[task].head.weight.shape[1])
        }
        return interference.pairs.map { pair in
            let rows = [pair.first, pair.second].compactMap { name in
                material.tasks.firstIndex { $0.name == name }
            }
            return TaskSimilarity(
                tasks: [pair.first, pair.second], cosine: pair.measure.cosine,
                overlap: (pair.measure.columnOverlap * pair.measure.rowOverlap).squareRoot(),
                distance: spreads[rows[0]].distance(to: spreads[rows[1]]))
        }
    }
}

/// Mean and variance of a task's features.
private struct Spread {
    private var mean: [Double]
    /// The trace of the covariance.
    private var variance = 0.0

    /// - Parameter read: the number of features per row that the head reads.
    init(_ table: FloatBuffer?, width: Int, read: Int) {
        mean = [Double](repeating: 0, count: read)
        guard let table, table.count >= width, width > 0 else { return }
        let rows = table.count / width
        var squares = 0.0
        for row in 0..<rows {
            for column in 0..<read {
                let value = Double(table.base[row * width + column])
                mean[column] += value
                squares += value * value
            }
        }
        for column in 0..<read { mean[column] /= Double(rows) }
        variance = max(0, squares / Double(rows) - mean.reduce(0) { $0 + $1 * $1 })
    }

    /// ‖μ₁ - μ₂‖ / √((tr Σ₁ + tr Σ₂)/2).
    func distance(to other: Spread) -> Double {
        let squares = zip(mean, other.mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        let spread = (variance + other.variance) / 2
        return spread > 0 ? (squares / spread).squareRoot() : 0
    }
}
