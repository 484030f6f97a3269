using LowRank.Serving;

namespace LowRank.Extensions.AI;

/// <summary>A model and its adapters, which <c>AddLowRank</c> gives to a program.</summary>
public sealed class LowRankOptions
{
    /// <summary>The base: a folder, or a name on the Hugging Face Hub. <c>AddLowRank</c> sets it.</summary>
    public string Model { get; set; } = "";

    /// <summary>The adapters: the names that calls give as <c>ModelId</c>, each with a folder in PEFT's format or a
    /// name on the Hub. Names that are known when <c>AddLowRank</c> is called are also the keys of services.</summary>
    public IDictionary<string, string> Adapters { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal);

    /// <summary>How the base is opened. Default: on the processor, with a thread per core. Its logger, if none is
    /// given, is the program's.</summary>
    public LanguageModelOptions Opening { get; set; } = new();

    /// <summary>The limits of the engine that writes texts. Default: those of <see cref="ServingOptions"/>.</summary>
    public ServingOptions Serving { get; set; } = new();

    /// <summary>Adds an adapter.</summary>
    /// <param name="name">Its name, and the key of its chat client and its embedding generator.</param>
    /// <param name="folder">Its folder, or its name on the Hub.</param>
    /// <returns>The same options.</returns>
    /// <exception cref="ArgumentException">There is an adapter with this name.</exception>
    public LowRankOptions AddAdapter(string name, string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        if (!Adapters.TryAdd(name, folder))
            throw new ArgumentException($"There is an adapter {name} already; expected another name.", nameof(name));
        return this;
    }

    /// <summary>The base's name: the last part of <see cref="Model"/>.</summary>
    internal static string NameOf(string model) => Path.GetFileName(Path.TrimEndingDirectorySeparator(model));

    /// <summary>Makes other options equal to these.</summary>
    internal void CopyTo(LowRankOptions other)
    {
        (other.Model, other.Opening, other.Serving) = (Model, Opening, Serving);
        foreach ((string name, string folder) in Adapters) other.Adapters[name] = folder;
    }
}
