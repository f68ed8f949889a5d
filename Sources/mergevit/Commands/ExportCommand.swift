import Adapters
import ArgumentParser
import Datasets
import Files
import Images
import Logging
import VisionTransformers

/// `mergevit export`.
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write one task of a merged model as a Hugging Face classification checkpoint.",
        discussion: """
            AutoModelForImageClassification.from_pretrained(FOLDER) and AutoImageProcessor load the folder; logits are \
            those of the merged model. The backbone is written whole, in 32-bit floats. A head that was aligned with \
            the merged backbone (merge --align) reads more than transformers' classes give it and is refused; DINOv2's \
            is not.

            Example:
              mergevit export --bundle model --task birds -o birds-classifier

            Exit codes: 0 written; 2 wrong usage; 3 the model or the output cannot be used; 130 or 143 stopped by a \
            signal.
            """)

    @OptionGroup(title: "Required") var bundle: BundleOption
    @OptionGroup(title: "Required") var output: OutputFolderOption

    @Option(help: .init("NAME", "The task (default: the only one)."))
    var task: TextArgument?

    @OptionGroup var replacing: ReplaceFolderOption
    @OptionGroup var quiet: QuietOption

    func run() throws {
        let model = try ModelBundle(folder: bundle.bundle.text)
        try ModelBundle.check(model.backbone, heads: model.heads)
        let names = model.heads.map(\.task)
        guard let task = task?.text ?? (names.count == 1 ? names[0] : nil) else {
            throw ValidationError("Give a --task; there are \(names.joined(separator: ", ")).")
        }
        guard names.contains(task) else { throw UnknownTask(task, tasks: names) }
        let folder = try AtomicFolder(output.path, ClassifierExport.kind, replaces: replacing.force)
        Interruption.ends { folder.discard() }
        do {
            let (architecture, head) = try ClassifierExport.write(model, task: task, to: folder)
            // What is written is what label accepts, or it is not written.
            let written = try ModelBundle(folder: folder.path("."))
            try ModelBundle.check(written.backbone, heads: written.heads)
            try folder.commit()
            if model.preprocessing.resize != .pillow {
                quiet.log.warning(
                    """
                    the bundle resizes as torchvision, which no file of a checkpoint says; label needs --resize \
                    torchvision
                    """)
            }
            let count = head.classes.count
            quiet.say(
                "wrote \(task) as \(architecture) with \(count) class\(count == 1 ? "" : "es") to \(output.path)")
        } catch {
            folder.discard()
            throw error
        }
    }
}
