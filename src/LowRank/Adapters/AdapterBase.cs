using LowRank.Adapters.Files;
using LowRank.Adapters.Methods.Lora.Starts;
using LowRank.Models;
using LowRank.Quantization;
using LowRank.Tensors;

namespace LowRank.Adapters;

/// <summary>The base beside which alone an adapter is right, of one whose pairs began as what quantising took from the weights (LoftQ).
/// A file beside PEFT's two, which PEFT passes over; other adapters have none.</summary>
/// <param name="BaseDtype">What the base's linear weights were kept in while it was trained, one of <see cref="WeightFormats.Names"/>.</param>
public sealed record AdapterBase(string BaseDtype)
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "lowrank_base.json";

    /// <summary>Reads the file of an adapter folder; null where there is none.</summary>
    /// <exception cref="InputException">It is broken, or names a format that there is not.</exception>
    public static AdapterBase? Load(string folder)
    {
        AdapterBase? read = OwnFile.Load<AdapterBase>(folder, FileName, "on any base", _ => null);
        if (read is null || WeightFormats.All.Any(format => format.Name == read.BaseDtype)) return read;
        throw new InputException($"{Path.Combine(folder, FileName)}: base_dtype is {read.BaseDtype ?? "missing"}, expected one of {string.Join(", ", WeightFormats.All.Select(format => format.Name))}. " +
            "Restore the file: the adapter is right beside a base in one format alone.");
    }

    /// <summary>How a base is to be opened for adapters.</summary>
    /// <param name="folders">The adapters' folders.</param>
    /// <param name="baseDtype">What the user asks for, one of <see cref="WeightFormats.Names"/>.</param>
    /// <returns>The same, but for <see cref="WeightFormats.Auto"/> the format that an adapter needs.</returns>
    /// <exception cref="InputException">A folder's file is broken.</exception>
    public static string DtypeFor(IEnumerable<string> folders, string baseDtype) =>
        baseDtype != WeightFormats.Auto ? baseDtype : folders.Select(Load).FirstOrDefault(needed => needed is not null)?.BaseDtype ?? baseDtype;

    /// <summary>Writes the file into a folder.</summary>
    public void Save(string folder) => OwnFile.Save(this, folder, FileName);

    /// <summary>What a new adapter on a model needs; null where it is right on any base of these weights.</summary>
    internal static AdapterBase? Of(INetwork network, LoraConfig config) =>
        config.PeftType == "LORA" && LoraStarts.Find(config.InitialWeights.Name).NeedsSameBase && Formats(network) is [var format, ..] ? new AdapterBase(format) : null;

    /// <summary>That of a combination of adapters; null where it needs none.</summary>
    /// <exception cref="InputException">Two need different formats.</exception>
    internal static AdapterBase? Common(IEnumerable<AdapterBase?> given)
    {
        AdapterBase[] needed = [.. given.OfType<AdapterBase>().Distinct()];
        if (needed.Length > 1)
            throw new InputException($"The adapters need bases in different formats, {string.Join(" and ", needed.Select(one => one.BaseDtype))}, and no base is in both. Merge each into its own base first ('lowrank merge').");
        return needed is [var only] ? only : null;
    }

    /// <summary>Refuses a base on which the adapter would be wrong.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="model">The base.</param>
    /// <exception cref="InputException">It is kept in another format.</exception>
    internal void Require(string folder, PretrainedModel model)
    {
        IReadOnlyList<string> formats = Formats(model.Network);
        if (formats.Contains(BaseDtype) || (formats.Count == 0 && StoredFormats(model.Folder).Contains(BaseDtype))) return; // expanded, a packed weight is the same
        throw new InputException($"{folder} began as what {BaseDtype} takes from the base's weights (LoftQ) and is right beside a base in {BaseDtype} alone, but {model.Folder} was opened in " +
            $"{(formats.Count == 0 ? WeightFormats.Float32 : string.Join(" and ", formats))}. Open it in {BaseDtype}: --base-dtype {BaseDtype}, in a recipe base_dtype: {BaseDtype}.");
    }

    private static IReadOnlyList<string> Formats(INetwork network) => [.. network.PackedWeights.Values.Select(weight => weight.Format).Distinct()];

    private static IEnumerable<string> StoredFormats(string folder)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        return [.. BitsAndBytesReader.Read(checkpoint).Values.Select(stored => stored.Format).Distinct()];
    }
}
