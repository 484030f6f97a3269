using LowRank.Tensors;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A Hugging Face model folder, opened: the decoder, its config and its generation settings.</summary>
public sealed class PretrainedModel : IDisposable
{
    private readonly Checkpoint? checkpoint;

    private PretrainedModel(string folder, ConfigReader config, Decoder decoder, Checkpoint? checkpoint)
    {
        Folder = folder;
        Config = config;
        Decoder = decoder;
        Generation = GenerationSettings.Read(folder, config);
        this.checkpoint = checkpoint;
    }

    /// <summary>The folder the model was opened from.</summary>
    public string Folder { get; }

    /// <summary>The model's config.</summary>
    public ConfigReader Config { get; }

    /// <summary>The model.</summary>
    public Decoder Decoder { get; }

    /// <summary>Begin, end and padding tokens.</summary>
    public GenerationSettings Generation { get; }

    /// <summary>Opens a folder with <c>config.json</c> and safetensors weights.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">Where the model computes; the processor by default.</param>
    /// <param name="trainable">True when every weight is to be trained; false keeps them mapped from the file.</param>
    /// <exception cref="InputException">Files are missing or broken, the config asks for something unsupported, or weights
    /// do not fit.</exception>
    public static PretrainedModel Open(string folder, Device? device = null, bool trainable = false)
    {
        ConfigReader config = ConfigReader.Open(Path.Combine(folder, "config.json"));
        Checkpoint checkpoint = Checkpoint.Open(folder);
        try
        {
            Decoder decoder = Decoder.Build(config, new CheckpointWeights(checkpoint, folder), device ?? CPU, trainable);
            return new PretrainedModel(folder, config, decoder, checkpoint);
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Builds a model with random weights from a folder's <c>config.json</c>, for training from scratch.</summary>
    /// <exception cref="InputException">The config is missing or asks for something unsupported.</exception>
    public static PretrainedModel FromScratch(string folder, long seed, Device? device = null)
    {
        ConfigReader config = ConfigReader.Open(Path.Combine(folder, "config.json"));
        using var weights = new RandomWeights(config.NumberOr("initializer_range", 0.02), seed);
        return new PretrainedModel(folder, config, Decoder.Build(config, weights, device ?? CPU, trainable: true), null);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Decoder.Dispose();
        checkpoint?.Dispose();
    }
}
