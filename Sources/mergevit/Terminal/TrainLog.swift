import Files
import Glibc
import Tensors
import Training

/// Writes what a training run tells of as JSON, an event a line, as it happens.
///
/// A run that goes on appends to its log: after a line of event `resume` the steps that it names come again.
final class TrainLog {
    private let path: BytePath
    private let descriptor: Int32
    private let start = ContinuousClock.now
    /// Why nothing more can be written.
    private(set) var failure: OutputError?

    /// Opens the log.
    ///
    /// - Parameter appends: whether what is there stays.
    /// - Throws: `OutputError.cannotWrite` when that cannot be done.
    init(_ path: BytePath, appends: Bool) throws(OutputError) {
        self.path = path
        let name = path.bytes.map { CChar(bitPattern: $0) } + [0]
        descriptor = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | (appends ? O_APPEND : O_TRUNC), 0o644)
        guard descriptor >= 0 else { throw .cannotWrite(path: path, reason: systemReason(errno)) }
    }

    deinit { close(descriptor) }

    /// Writes an event.
    func write(_ event: TrainingEvent) {
        guard var object = Self.json(event) else { return }
        let parts = start.duration(to: .now).components
        object["seconds"] = .double((Double(parts.seconds) + Double(parts.attoseconds) * 1e-18).rounded(to: 1000))
        append(JSON.object(object).serialized(indented: false) + "\n")
    }

    private static func json(_ event: TrainingEvent) -> JSONObject? {
        switch event {
        case .reading, .features: return nil
        case .skipped(let path, let reason):
            return ["event": "skipped", "path": .string("\(path)"), "reason": .string(reason)]
        case .resumed(let steps): return ["event": "resume", "step": .int(steps)]
        case .step(let report):
            return [
                "event": "step", "epoch": .int(report.epoch), "step": .int(report.step), "images": .int(report.images),
                "lr": .double(report.learningRate), "loss": .double(report.loss),
                "epoch_loss": .double(report.epochLoss), "epoch_accuracy": .double(report.epochAccuracy),
            ]
        case .epoch(let record, let isBest):
            var object: JSONObject = ["event": "epoch"]
            for (key, value) in record.json.objectValue?.members ?? [] { object[key] = value }
            object["best"] = .bool(isBest)
            return object
        }
    }

    private func append(_ text: String) {
        guard failure == nil else { return }
        let code = Array(text.utf8).withUnsafeBytes { FileWriting.writeAll($0, to: descriptor) }
        if let code { failure = .cannotWrite(path: path, reason: systemReason(code)) }
    }
}
