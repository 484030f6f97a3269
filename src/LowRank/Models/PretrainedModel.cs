using System.Globalization;
using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using LowRank.Models.Families;
using LowRank.Quantization;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>An opened Hugging Face model folder: the model, its config and its generation settings.</summary>
public sealed class PretrainedModel : IDisposable
{
    private const string VocabularyKey = "vocab_size";

    private readonly Checkpoint? checkpoint;
    private readonly bool isForMerging;

    private PretrainedModel(
        string folder, ConfigReader config, INetwork network, Checkpoint? checkpoint,
        ComputeType compute = ComputeType.Float32, bool isForMerging = false)
    {
        this.isForMerging = isForMerging;
        ComputeDtype = compute == ComputeType.Float32 ? ComputeTypes.Float32 : ComputeTypes.BFloat16;
        Folder = folder;
        Config = config;
        Network = network;
        Generation = GenerationSettings.Read(folder, config);
        this.checkpoint = checkpoint;
    }

    /// <summary>The folder the model was opened from.</summary>
    public string Folder { get; }

    /// <summary>The model's config.</summary>
    public ConfigReader Config { get; }

    /// <summary>The model.</summary>
    public INetwork Network { get; }

    /// <summary>The model as a decoder.</summary>
    /// <exception cref="InputException">The model is not a decoder.</exception>
    public Decoder Decoder => Network as Decoder ?? throw new InputException(
        $"{Folder} is a {Config.ModelType} model, which does not continue texts. Expected a decoder, such as " +
            "llama, qwen2 or gpt2.");

    /// <summary>The model as a text model: a decoder or an encoder.</summary>
    /// <exception cref="InputException">The model is neither.</exception>
    public ISequenceNetwork Sequence => Network as ISequenceNetwork ?? throw new InputException(
        $"{Folder} is a {Config.ModelType} model, which turns one text into another. Expected an encoder or a " +
            "decoder.");

    /// <summary>Whether weights are quantised, in memory or in the folder's files.</summary>
    public bool IsQuantized
    {
        get
        {
            if (Network.QuantizedWeights.Any()) return true;
            using Checkpoint stored = Checkpoint.Open(Folder);
            return BitsAndBytesReader.Read(stored).Count > 0;
        }
    }

    /// <summary>Start, end and padding tokens.</summary>
    public GenerationSettings Generation { get; }

    /// <summary>The type of the inputs of products with frozen weights: float32 or bfloat16.</summary>
    public string ComputeDtype { get; }

    /// <summary>What adapters have written into the weights.</summary>
    internal WeightChanges WeightChanges { get; } = new();

    /// <summary>Number of rows of the embedding in the folder's weights; a larger vocabulary adds rows to
    /// them.</summary>
    public int StoredVocabulary { get; private init; }

    /// <summary>Identifies the weights in the folder (SHA-256 over names, dtypes, shapes and bytes of all tensors, as
    /// lower-case hexadecimal digits); null for random weights. Computed from the files on first access; changes in
    /// memory have no effect.</summary>
    public string? Fingerprint => fingerprint ??= checkpoint is null ? null : BaseFingerprint.Compute(Folder);

    private string? fingerprint;

    /// <summary>What the user should know about the model's files, one sentence each.</summary>
    public IReadOnlyList<string> Notes => Config.UnknownKeys is { Count: > 0 } unknown
        ? [$"{Path.Combine(Folder, "config.json")} has {(unknown.Count == 1 ? "a key that is" : "keys that are")} " +
        $"not known to {Config.ModelType} here and so {(unknown.Count == 1 ? "has" : "have")} no effect: " +
        $"{string.Join(", ", unknown)}. Where one of them changes what the model computes, outputs differ from the " +
        "original's."]
        : [];


    /// <summary>Opens a folder with <c>config.json</c> and safetensors weights.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">The device to compute on; the processor by default.</param>
    /// <param name="trainable">True if every weight will be trained; false keeps them mapped from the file.</param>
    /// <param name="head">The head to open; null takes the config's.</param>
    /// <param name="vocabulary">Number of rows for the token embedding and the output head: more than the folder's if
    /// an adapter adds tokens; each new row is initialised to the mean of the others. A smaller number, such as 0,
    /// leaves them unchanged.</param>
    /// <param name="baseDtype">The storage format of linear layers' weights, one of <see cref="WeightFormats.Names"/>.
    /// They are quantised one at a time, so at most one is in float32 at once. Embeddings, norms, biases, the output
    /// head and task heads, expert routers and T5's <c>wo</c> stay in float32.</param>
    /// <param name="computeDtype">The type of the inputs of products with frozen weights, one of
    /// <see cref="Devices.ComputeTypes"/>. For bfloat16, weights of linear layers and of the output head that would be
    /// float32 are kept in bfloat16; sums, and everything else that is computed, stay in float32.</param>
    /// <param name="baseHead">The storage of the output head, one of <see cref="WeightFormats.HeadNames"/>: base keeps
    /// it as linear layers' weights are kept, beside the table for lookups if it shares the embedding's.</param>
    /// <exception cref="InputException">Files are missing or invalid, the config asks for something unsupported,
    /// weights do not fit, weights should be both packed and trained, or the device has no units for
    /// bfloat16.</exception>
    public static PretrainedModel Open(
        string folder, Device? device = null, bool trainable = false, HeadRequest? head = null, int vocabulary = 0,
            string baseDtype = WeightFormats.Auto, string computeDtype = ComputeTypes.Float32,
            string baseHead = WeightFormats.Float32) =>
        OpenFrom(folder, device, trainable, head, vocabulary, baseDtype, computeDtype, baseHead, keepsStored: false);

    /// <summary>Opens a folder whose model computes nothing, so that adapters can be merged into a base larger than
    /// memory: weights stay in the file, in its dtype, until they are read, and those that are to be quantised are
    /// quantised then.</summary>
    /// <inheritdoc cref="Open(string, Device?, bool, HeadRequest?, int, string, string, string)"/>
    public static PretrainedModel OpenForMerging(
        string folder, HeadRequest? head = null, int vocabulary = 0, string baseDtype = WeightFormats.Auto,
        string baseHead = WeightFormats.Float32) =>
        OpenFrom(folder, CPU, trainable: false, head, vocabulary, baseDtype, ComputeTypes.Float32, baseHead,
            keepsStored: true);

    private static PretrainedModel OpenFrom(
        string folder, Device? device, bool trainable, HeadRequest? head, int vocabulary, string baseDtype,
        string computeDtype, string baseHead, bool keepsStored)
    {
        IWeightFormat? format = WeightFormats.Get(baseDtype);
        ComputeType compute = ComputeTypes.Choose(computeDtype, device ?? CPU);
        if (!WeightFormats.HeadNames.Contains(baseHead))
            throw new InputException(Problem.Of(
                KnownSettings.BaseHead, baseHead, $"one of {string.Join(", ", WeightFormats.HeadNames)}"));
        ConfigReader config = ConfigReader.Open(Path.Combine(folder, "config.json"));
        int rows = (int)config.NumberOr(VocabularyKey, 0);
        bool extends = rows > 0 && vocabulary > rows;
        // the name as a file spells it
        if (extends) config.Root[VocabularyKey] = JsonNode.Parse(vocabulary.ToString(CultureInfo.InvariantCulture));
        NativeRuntime.Initialize();
        Checkpoint checkpoint = Checkpoint.Open(folder);
        try
        {
            var stored = new CheckpointWeights(checkpoint, folder);
            // As in transformers, weights that are stored unquantised are quantised if the config asks for it.
            if (baseDtype == WeightFormats.Auto && stored.QuantizedWeights.Count == 0
                && QuantizationConfig.Format(config.Root) is { } asked)
                format = WeightFormats.Get(asked);
            bool expands = baseDtype == WeightFormats.Float32;
            string? kept = expands ? null : format?.Name ?? stored.QuantizedWeights.Values.FirstOrDefault()?.Format;
            RequirePackable(folder, kept, compute, trainable);
            IWeightSource weights = new CheckpointWeights(checkpoint, folder, format, expands)
            {
                HeadFormat = baseHead == WeightFormats.Base ? WeightFormats.All.FirstOrDefault(
                    known => known.Name == kept) : null,
                Compute = compute, KeepsStored = keepsStored,
            };
            INetwork network =
                Build(config, extends ? new ExtendedWeights(weights, rows, vocabulary)
                : weights, device, trainable, head);
            return new PretrainedModel(folder, config, network, checkpoint, compute, keepsStored)
            {
                StoredVocabulary = extends ? rows : network.VocabularySize,
            };
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Builds a model with random weights from a folder's <c>config.json</c>, for training from
    /// scratch.</summary>
    /// <exception cref="InputException">The config is missing or asks for something unsupported.</exception>
    public static PretrainedModel FromScratch(string folder, long seed, Device? device = null, HeadRequest? head = null)
    {
        NativeRuntime.Initialize();
        ConfigReader config = ConfigReader.Open(Path.Combine(folder, "config.json"));
        using var weights = new RandomWeights(config.ShareOr("initializer_range", 0.02), seed);
        INetwork network = Build(config, weights, device, trainable: true, head);
        return new PretrainedModel(folder, config, network, null) { StoredVocabulary = network.VocabularySize };
    }

    /// <summary>Builds a model of a folder's <c>config.json</c> for measurements
    /// (<see cref="AlikeWeights"/>).</summary>
    internal static PretrainedModel Alike(
        string folder, long seed, Device device, string baseDtype, string computeDtype)
    {
        NativeRuntime.Initialize();
        ConfigReader config = ConfigReader.Open(Path.Combine(folder, "config.json"));
        ComputeType compute = ComputeTypes.Choose(computeDtype, device);
        using var weights =
            new AlikeWeights(config.ShareOr("initializer_range", 0.02), seed, WeightFormats.Get(baseDtype), compute);
        INetwork network = Build(config, weights, device, trainable: false, head: null);
        return new PretrainedModel(folder, config, network, null, compute)
        {
            StoredVocabulary = network.VocabularySize,
        };
    }

    /// <summary>Requires that all values of one of the model's outputs are finite.</summary>
    /// <param name="output">The output.</param>
    /// <param name="name">What it is, such as "scores".</param>
    /// <param name="again">Computes it again, to find the layer that it comes from.</param>
    /// <exception cref="NonFiniteException">A value is not finite; the message names the weight or layer.</exception>
    public void RequireFinite(Tensor output, string name, Action again) =>
        FiniteOutput.Require(output, Network, name, again);

    /// <summary>Releases the pages of stored tensors of a model that was opened for merging. The pages of others may
    /// have been changed in memory.</summary>
    internal void Release(IEnumerable<string> names)
    {
        if (!isForMerging) return;
        foreach (string name in names) checkpoint!.Release(name);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Network.Dispose();
        checkpoint?.Dispose();
    }

    private static void RequirePackable(string folder, string? format, ComputeType compute, bool trainable)
    {
        if (compute != ComputeType.Float32 && trainable)
            throw new InputException(
                $"{folder} is opened to compute with weights rounded to bfloat16, which are frozen: every weight " +
                $"cannot be trained. Compute in float32{KnownSettings.ComputeDtype.To("float32").Aside}, or train an " +
                $"adapter.");
        if (format is not null && trainable)
            throw new InputException(
                $"{folder} is opened in {format}, whose weights are frozen: every weight cannot be trained. " +
                $"Open it in float32{KnownSettings.BaseDtype.To("float32").Aside}, or train an adapter.");
    }

    private static INetwork Build(
        ConfigReader config, IWeightSource weights, Device? device, bool trainable, HeadRequest? head)
    {
        IModelFamily family = FamilyRegistry.Get(config.ModelType);
        head ??= HeadRequest.From(config, family);
        if (!family.Heads.Contains(head.Kind))
            throw new InputException(
                $"A {config.ModelType} model has no head for {head.Kind}; it has {string.Join(", ", family.Heads)}.");
        return family.Build(config, weights, device ?? CPU, trainable, head);
    }
}
