import ArgumentParser
import Files
import Training
import VisionTransformers
import Workflows

/// `mergevit inspect`.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Describe a model, or show what each stage makes of an image.",
        discussion: """
            With PATH: describes a checkpoint, an adapter, a bundle or a safetensors file.

            With --bundle (or --base, which needs no heads), --image and --dump: writes the stages of one image as a \
            safetensors file: rgb (H, W, 3), pixel_values (1, 3, h, w), hidden (1, tokens, width) and, for each task, \
            logits.TASK (1, classes). A bundle of several groups has hidden.group2 and so on for those after the first.

            Examples:
              mergevit inspect model
              mergevit inspect --bundle model --image photo.jpg --dump stages.safetensors

            Exit codes: 0 described or written; 2 wrong usage; 3 the model, the image or the output cannot be used.
            """)

    @Argument(help: .init("PATH", "A checkpoint, adapter or bundle folder, or a safetensors file."))
    var path: TextArgument?

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup(title: "Stages of an image") var stages: StageOptions

    /// What shows the stages of which image.
    struct StageOptions: ParsableArguments {
        @Option(help: .init("DIR", "Bundle to run."))
        var bundle: TextArgument?

        @Option(help: .init("DIR", "Checkpoint to run; it needs no heads."))
        var base: TextArgument?

        @Option(help: .init("FILE", "The image."))
        var image: TextArgument?

        @Option(help: .init("FILE", "Safetensors file to write."))
        var dump: TextArgument?

        @OptionGroup var preprocessor: PreprocessorOptions
        @OptionGroup var decoding: DecodingArguments
    }

    func validate() throws {
        if path != nil {
            guard stages.bundle == nil, stages.base == nil, stages.image == nil, stages.dump == nil else {
                throw ValidationError("PATH is described; --bundle, --base, --image and --dump show an image's stages.")
            }
        } else {
            guard (stages.bundle == nil) != (stages.base == nil), stages.image != nil, stages.dump != nil else {
                throw ValidationError("Give a PATH to describe, or --bundle (or --base), --image and --dump.")
            }
        }
    }

    func run() throws {
        if let path {
            let description = try showingStages(isQuiet: false) { try ModelDescription.of(path.text) }
            StandardStream.output.write(json ? description.serialized() : ModelDescription.text(description))
        } else if let image = stages.image, let dump = stages.dump {
            try showingStages(isQuiet: false) {
                try StageDump.write(
                    model: stages.bundle.map { .bundle($0.text) } ?? .base(stages.base?.text ?? ""), image: image.text,
                    preprocessor: stages.preprocessor.choice, decoding: stages.decoding.options, to: dump.text)
            }
        }
    }
}
