import Adapters
import Datasets
import Evaluation
import Files
import Labelling
import Training
import VisionTransformers
import Workflows

/// An error in words, with the options that help: libraries say what is wrong, and do not know the command line.
func description(of error: any Error) -> String {
    ErrorHints.subject(of: error) + "\(error)" + ErrorHints.hint(for: error)
}

/// A warning in words, with the options that help.
func description(of warning: Warning) -> String { warning.text + ErrorHints.hint(for: warning.remedy) }

/// The option that an error is about, and the option that helps.
enum ErrorHints {
    /// What precedes the error's description: the option whose value is wrong; empty if it is about none.
    static func subject(of error: any Error) -> String {
        switch error {
        case LoRATargetsError.targets: "--targets: "
        case LoRATargetsError.layers: "--layers: "
        case StudyPlanError.sizes: "--sizes: "
        case StudyPlanError.methods: "--methods: "
        default: ""
        }
    }

    /// What follows the error's description; empty if no option helps.
    static func hint(for error: any Error) -> String {
        switch error {
        case let error as any ErrorWithRemedy: hint(for: error.remedy)
        case OutputError.exists, OutputError.notOurs: "; --force replaces it"
        case LabellingError.resume: "; --restart drops it"
        case LabellingError.reuse: "; omit --reuse to label all files again"
        case LabellingError.featuresNeedFile: " (--features, -o)"
        case LabellingError.feature: "; --features-type f32 can hold it"
        case LabellingError.manifest: "; it is written beside the rows by label --shard"
        case LabellingError.labelSeparator:
            ": choose another by --label-separator, or --layout long or --format jsonl"
        case LabellingError.noFit: "; make one from images of the task: mergevit fit --bundle BUNDLE --images TASK=DIR"
        case LabellingError.needsFile: "; name it with -o, or omit --shard and --manifest"
        case EvaluationSettingsError.noAccuracy(let task, .sigmoid):
            "; --min-map \(task)=... sets a smallest mean average precision"
        case EvaluationSettingsError.noMeanPrecision(let task, .softmax):
            "; --min-accuracy \(task)=... sets a smallest accuracy"
        case is UnfinishedRun: "; --resume continues it, --force starts over"
        case let error as NoInputs:
            (error.endings == nil ? "" : "; --endings names the extensions") + "; --allow-empty accepts that"
        case let error as UnknownTask: Suggestion.sentence(for: error.name, among: error.tasks)
        default: ""
        }
    }

    /// How to apply a remedy, as the end of a sentence about the error; empty for none.
    static func hint(for remedy: (any Remedy)?) -> String { (remedy as? any HintedRemedy)?.hint ?? "" }
}

/// A remedy that options apply. Every remedy of a library is one.
protocol HintedRemedy: Remedy {
    /// The options, as the end of a sentence about the error.
    var hint: String { get }
}

extension ModelRemedy: HintedRemedy {
    var hint: String {
        switch self {
        case .download(let name):
            "; if it is the name of a model on the Hugging Face Hub, download it first: hf download \(name) "
                + "--local-dir DIR"
        case .giveHead: ", or give a linear head that was trained over the same features: --head NAME=FILE"
        case .giveAdapter(let path): "; give it with --adapter NAME=\(path)"
        case .giveAdapterWithBase(let path):
            "; give it with --adapter NAME=\(path), and with --base the model that it was made for"
        case .merge(let path): "; merge it first: mergevit merge --base BASE --adapter NAME=\(path) -o BUNDLE"
        case .labelWithBundle(let path):
            "; label with it by --bundle \(path), or merge the adapters that it was made of"
        case .labelWithCheckpoint(let path): "; label with it by --bundle \(path)"
        case .givePreprocessor:
            ", or give --preprocessor with such a file, or with one of \(PreprocessorChoice.Preset.names) for the "
                + "settings of these models"
        case .givePreprocessorFile: "; give --preprocessor FILE"
        case .correctPreprocessor: "; --preprocessor takes a file, or \(PreprocessorChoice.Preset.names)"
        case .quantize: "; run mergevit quantize again"
        case .fit: "; delete it and run mergevit fit again"
        }
    }
}

extension FitRemedy: HintedRemedy {
    var hint: String {
        switch self {
        case .fitTogether: "; mergevit fit makes those of all tasks together"
        }
    }
}

extension ProjectRemedy: HintedRemedy {
    var hint: String {
        switch self {
        case .ignoreProject: "; --no-project goes without it"
        }
    }
}

extension AdapterRemedy: HintedRemedy {
    var hint: String {
        switch self {
        case .nameActivation(let activation): "; say which by --activation TASK=\(activation.rawValue)"
        case .correctActivation: " (--activation)"
        case .resize(let backend): "; --resize \(backend) resizes them as in training"
        case .giveImages: " (--calibration)"
        case .giveClassNames: " (--labels)"
        case .allowOtherBase: ", or --allow-other-base to use it all the same"
        case .giveHead(let task, let path): ": --head \(task)=\(path)"
        case .giveSavedHead: ", or give the file that has it with --head NAME=FILE"
        case .mergeOver(let base, let adapters):
            " (its recipe: --base \(base)\(adapters.map { " --adapter \($0.name)=\($0.path)" }.joined()))"
        case .giveMergedBase: "; --base DIR says where it is now"
        case .mergeTogether(let base, let adapters, let method, let scale):
            ": mergevit merge --base \(base)\(adapters.map { " --adapter \($0.name)=\($0.path)" }.joined()) --method "
                + "\(method) --scale \(scale) -o NEW"
        case .addToBundle(let bundle): ": mergevit add --bundle \(bundle) --adapter NAME=DIR -o NEW"
        case .mergeWithoutAlignment: ". Merge without --align to export it"
        case .mergeWithStreams:
            "; merge all adapters again: mergevit merge --streams, or --method base --streams for patch tokens that no "
                + "adapter changes"
        case .removeTask(let task, let bundle):
            "; give the new one another name, or remove the old one first: mergevit remove --bundle \(bundle) --task "
                + "\(task) -o NEW"
        case .quantizeChanged: ", and run mergevit quantize on the result"
        }
    }
}

extension TableRemedy: HintedRemedy {
    var hint: String {
        switch self {
        case .labelToCSV: " (label --format csv)"
        case .namePathColumn: "; --path-column NAME chooses one"
        case .nameLabelColumn: "; --label-column NAME chooses one"
        case .nameColumns: "; --path-column and --label-column name others"
        case .omitLabelColumn: "; omit --label-column"
        case .giveRoot: " (--root DIR names the folder that paths start at)"
        case .nameLabelSeparator: "; --label-separator names another separator"
        }
    }
}

extension LabelFileRemedy: HintedRemedy {
    var hint: String {
        switch self {
        case .giveRoot: " (--root DIR names the folder that paths start at)"
        }
    }
}

extension PredictionsRemedy: HintedRemedy {
    var hint: String {
        switch self {
        case .readAs(let activation, let task): "; use --activation \(task)=\(activation.rawValue)"
        case .allowNoLabel(let task): "; if an image may have none, use --activation \(task)=sigmoid"
        case .writeAllScores: ": label with --all-scores, or omit --threshold"
        }
    }
}

extension TrainingRemedy: HintedRemedy {
    var hint: String {
        switch self {
        case .omitValidationFraction: "; omit --val-fraction"
        case .raiseImageMemory: "; --image-memory sets the limit"
        case .omitBalancing: "; omit --balance"
        case .trainHeadAlone: " (--head-only)"
        }
    }
}
