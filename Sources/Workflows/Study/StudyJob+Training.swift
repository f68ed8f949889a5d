import Adapters
import Compute
import Datasets
import Files
import Glibc
import Training
import VisionTransformers

extension StudyJob {
    /// The path of a task's adapter or of its head alone.
    func place(of task: Task, isHead: Bool) -> String {
        (isHead ? task.head : task.adapter) ?? "\(output)/\(isHead ? "heads" : "adapters")/\(task.name)"
    }

    /// Trains a task's adapter and its head alone, unless they are given or exist.
    func train(
        _ task: Task, _ images: StudyImages, _ store: StudyStore, pool: WorkerPool, _ tell: Tell
    ) throws {
        for (isHead, given) in [(false, task.adapter), (true, task.head)] where given == nil {
            let kind = isHead ? "head" : "adapter"
            let data = try images.training(for: "its \(kind) is trained on")
            var digests: [String] = []
            for items in [data.training, data.validation] {
                let text = try PictureStore.fingerprint(of: items, pool: pool) {
                    try tell(.reading(done: $0, of: items.count))
                }
                digests.append(SHA256.text(ofUTF8: text))
            }
            try store.bind(
                "training of the \(kind) of \(task.name)",
                .object([
                    "epochs": .int(isHead ? headEpochs : epochs), "seed": .number(String(seed)),
                    "training_images": .string(digests[0]), "validation_images": .string(digests[1]),
                ]))
            let place = place(of: task, isHead: isHead)
            try makeFolder("\(output)/\(kind)s")
            guard access("\(place)/\(TrainedAdapter.recordName)", F_OK) != 0 else { continue }
            try train(task, data, isHead: isHead, into: place, tell)
        }
    }

    private func train(_ task: Task, _ data: TrainingData, isHead: Bool, into place: String, _ tell: Tell) throws {
        var job = TrainingJob(
            base: base, data: data, task: task.name, output: place, lora: isHead ? nil : try TrainingJob.LoRA())
        job.settings.epochs = isHead ? headEpochs : epochs
        job.settings.seed = seed
        job.imageMemory = imageMemory
        job.resumes = true
        job.threads = threads
        job.precision = precision
        job.version = version
        var stop: (any Error)?
        let outcome = try job.run { event in
            do { try tell(.training(task: task.name, isHead: isHead, event)) } catch {
                stop = error
                return false
            }
            return true
        }
        if let stop { throw stop }
        switch outcome {
        case .finished(let kept, _, _):
            try tell(.trained(task: task.name, isHead: isHead, kept: kept, output: place))
        case .stopped: throw CancellationRequested()
        }
    }

    private func makeFolder(_ path: String) throws {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
            throw ModelError(path, "cannot be written: \(systemReason(errno))")
        }
    }
}
