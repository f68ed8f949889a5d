package import Datasets
package import Files
import Glibc
package import Labelling
import Tensors
package import VisionTransformers

/// What is labelled by which model, and where the rows go.
package struct LabellingJob {
    /// The bundle's folder.
    package var bundle: String
    /// How the model is made ready.
    package var model: ModelSettings
    /// The inputs.
    package var source: InputSource
    /// How rows look.
    package var rows: RowOptions
    /// How the run goes about its work.
    package var options: LabellingOptions
    /// The file to write; nil for standard output.
    package var output: BytePath?
    /// When rows are made to reach the disk.
    package var sync = SyncPolicy.second
    /// Whether an output is replaced that was changed, or that something else wrote.
    package var replaces = false
    /// Whether rows of an interrupted run are discarded.
    package var restarts = false
    /// The part of the inputs to label; nil for all.
    package var shard: Shard?
    /// Whether a manifest is written beside the rows, as for every shard.
    package var writesManifest = false
    /// The rows of a finished run that are taken for files that have not changed.
    package var reused: BytePath?
    /// The file of the features that heads read; nil for none.
    package var features: FeatureOptions?
    /// Whether it is no error that there are no inputs.
    package var allowsEmpty = false
    /// The version of this program, for the manifest.
    package var version: String

    /// Labels everything in `source` by the bundle.
    package init(
        bundle: String, model: ModelSettings, source: InputSource, rows: RowOptions, options: LabellingOptions,
        version: String
    ) {
        (self.bundle, self.model, self.source, self.rows) = (bundle, model, source, rows)
        (self.options, self.version) = (options, version)
    }

    /// What a run tells of.
    package enum Event {
        /// Something that a user should know, at a level below a warning.
        case notice(String)
        /// Something that is likely not what the user wants.
        case warning(String)
        /// Which precision `auto` took, and why.
        case precision(String)
        /// Patch tokens are merged.
        case tokenMerging(TokenMerging)
        /// The model is ready; the inputs, of a shard its own, are being labelled.
        case began(InputSource)
        /// A batch has its rows.
        case progress(LabellingProgress)
        /// The run is over, for now if it was stopped.
        case ended(LabellingProgress)
    }

    /// What came of a run.
    package struct Outcome {
        /// How many rows there are, and of what kind.
        package let result: LabellingProgress
        /// Whether rows are kept for a run that resumes this one.
        package let canResume: Bool
    }

    /// Labels the inputs and writes their rows.
    ///
    /// - Parameters:
    ///   - isStopped: asked again and again whether to stop after the batch under way.
    ///   - report: told what happens.
    /// - Throws: `LabellingError` and errors of the model when the model, the list of inputs or the output cannot be
    ///   used; `CancellationRequested` when it was stopped before the first input.
    package func run(isStopped: () -> Bool, report: (Event) -> Void) throws -> Outcome {
        // Inputs and output first: a mistake there should be reported before the model is read.
        let written = output.map { [$0, RunManifest.path(of: $0)] } ?? []
        let source = source.excluding(written + (reused.map { [$0] } ?? []) + (features.map { [$0.path] } ?? []))
        let reused = reused(report)
        try features?.check(force: replaces)
        try source.checkPaths()
        if !allowsEmpty, try source.isEmpty() { throw source.emptyError }
        if let output, let file = try ResumableFile.open(output, sync: sync, force: replaces) {
            return try run(source, to: file, reusing: reused, isStopped, report)
        }
        guard !writesManifest else { throw LabellingError.needsFile }
        guard features == nil else { throw LabellingError.featuresNeedFile }
        let file =
            if let output { try OutputFile.replacing(output, force: replaces) } else { OutputFile.standardOutput() }
        let model = try load(reusing: reused)
        let rows = try reused.map { try ReusableRows($0, settings: settings(of: model).json) }
        let result = try label(source, to: file, with: model, reusing: rows, isStopped, report)
        if !result.isStopped { try checkNotEmpty(source, result, report) }
        return Outcome(result: result, canResume: false)
    }

    /// The rows to take, if there are any. They may be those that the run replaces; then there are none the first time.
    private func reused(_ report: (Event) -> Void) -> BytePath? {
        guard let reused, reused == output, case .failure(let error) = FileStatus.of(reused), error.code == ENOENT
        else { return self.reused }
        report(.notice("\(reused) does not exist yet, so there are no rows to take"))
        return nil
    }

    private func load(reusing reused: BytePath?, needsDigest: Bool = false) throws -> LoadedBundle {
        try LoadedBundle(
            folder: bundle, model, for: rows.tasks, needsDigest: needsDigest || reused != nil, isLazy: reused != nil)
    }

    private func settings(of model: LoadedBundle) -> RowSettings {
        RowSettings(
            version: version, rows: rows, decoding: self.model.decoding, bundle: model.digest ?? "",
            precision: model.precision, tokenMerging: model.tokenMerging, resize: model.resize)
    }

    /// Labels into a file, after what an earlier run has left of it.
    private func run(
        _ source: InputSource, to file: ResumableFile, reusing reused: BytePath?, _ isStopped: () -> Bool,
        _ report: (Event) -> Void
    ) throws -> Outcome {
        do {
            let model = try load(reusing: reused, needsDigest: true)
            let settings = settings(of: model)
            let header = try RowWriter(tasks: model.classifier.tasks, options: rows).header
            let reusable = try reused.map { try ReusableRows($0, settings: settings.json) }
            guard let range = try LabellingRange(source, shard: shard, isStopped: isStopped) else {
                throw CancellationRequested()
            }
            let companions = try RowCompanions(
                beside: file, settings: settings.json, headerBytes: header.count,
                features: features.map {
                    try FeatureFile($0, columns: model.classifier.featureColumns, model: model.digest ?? "")
                })
            let binding = range.binding(settings, features)
            switch try file.begin(binding, restart: restarts, companions: companions) {
            case .fresh: break
            case .resumes(let inputs):
                report(.notice("resuming after \(inputs) inputs, whose rows are in \(file.partial)"))
            case .startsOver: report(.warning("\(file.partial): its journal is damaged; starting over"))
            }
            let result = try label(range.source, to: file, with: model, reusing: reusable, isStopped, report)
            if !result.isStopped {
                try checkNotEmpty(source, result, report)
                if writesManifest {
                    try range.manifest(settings, file, header: header, result).write(beside: file.name)
                }
                try file.commit()
            }
            return Outcome(result: result, canResume: file.leave() > 0)
        } catch {
            let kept = file.leave()
            if kept > 0 { report(.notice("the rows of \(kept) inputs are kept in \(file.partial)")) }
            throw error
        }
    }

    private func label(
        _ source: InputSource, to file: some RowOutput, with model: LoadedBundle, reusing reused: ReusableRows?,
        _ isStopped: () -> Bool, _ report: (Event) -> Void
    ) throws -> LabellingProgress {
        let writer = try RowWriter(tasks: model.classifier.tasks, options: rows)
        if let reason = model.precisionReason { report(.precision(reason)) }
        if let merging = model.tokenMerging { report(.tokenMerging(merging)) }
        for task in model.classifier.tasks where task.activation == .softmax && task.classes.count == 1 {
            report(
                .warning(
                    """
                    \(task.name): a softmax over one class is 1 for every image; merge again, or say \
                    "activation": "sigmoid" in bundle.json
                    """))
        }
        for task in model.classifier.tasks where rows.tasks?.contains(task.name) ?? true {
            guard let minimum = rows.minimumFits[task.name] ?? rows.minimumFit, minimum > 0 else { continue }
            guard let fit = model.fits?.fit(task.name) else {
                report(.warning("\(task.name) has no fit, so that its labels are always written"))
                continue
            }
            guard Double(fit.smallestValue) >= minimum else { continue }
            report(
                .warning(
                    """
                    \(task.name): its fit has \(fit.heldOut.count) held-out images, so that no image gets less than \
                    \(fit.smallestValue), and labels are always written
                    """))
        }
        report(.began(source))
        let pipeline = LabellingPipeline(preparer: model.preparer, classifier: model.classifier, options: options)
        let result = try pipeline.run(
            source, rows: writer, output: file, reuse: reused, progress: { report(.progress($0)) },
            isStopped: isStopped)
        try reused?.checkUnchanged()
        if !result.isStopped, result.loops > 0 {
            report(.warning("left out \(result.loops) folder link(s) that lead back to a folder above them"))
        }
        report(.ended(result))
        return result
    }

    /// Checks that there was something to do, which is not known beforehand of a list that can be read only once.
    private func checkNotEmpty(
        _ source: InputSource, _ result: LabellingProgress, _ report: (Event) -> Void
    ) throws {
        guard result.done == 0, shard == nil else { return }
        guard allowsEmpty else { throw source.emptyError }
        report(.warning("there was nothing to label"))
    }
}
