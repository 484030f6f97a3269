using LowRank.Adapters.Files;
using LowRank.Adapters.Methods.Lora.Starts;
using LowRank.Models;
using LowRank.Quantization;
using LowRank.Tensors;

namespace LowRank.Adapters;

/// <summary>The base that an adapter was trained beside. A file beside PEFT's two, which PEFT passes over.</summary>
/// <param name="BaseDtype">What the base's linear weights have to be kept in, one of <see cref="WeightFormats.Names"/>: of an adapter whose pairs
/// began as what quantising took from the weights (LoftQ), which is right beside that alone. Null where any will do.</param>
/// <param name="BaseSha">The fingerprint of the base's weights (<see cref="PretrainedModel.Fingerprint"/>); null where it is not known.</param>
public sealed record AdapterBase(string? BaseDtype = null, string? BaseSha = null)
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "lowrank_base.json";

    /// <summary>Reads the file of an adapter folder; null where there is none.</summary>
    /// <exception cref="InputException">It is broken, or names a format that there is not.</exception>
    public static AdapterBase? Load(string folder)
    {
        AdapterBase? read = OwnFile.Load<AdapterBase>(folder, FileName, "on any base", _ => null);
        if (read is null) return null;
        if (read.BaseSha is { } sha && !BaseFingerprint.IsOne(sha))
            throw new InputException($"{Path.Combine(folder, FileName)}: base_sha is {sha}, expected 64 hexadecimal digits in lower case. Restore the file, or remove base_sha.");
        if (read.BaseDtype is null ? read.BaseSha is not null : WeightFormats.All.Any(format => format.Name == read.BaseDtype)) return read;
        throw new InputException($"{Path.Combine(folder, FileName)}: base_dtype is {read.BaseDtype ?? "missing, as is base_sha"}, expected one of {string.Join(", ", WeightFormats.All.Select(format => format.Name))}. " +
            "Restore the file: the adapter is right beside a base in one format alone.");
    }

    /// <summary>How a base is to be opened for adapters.</summary>
    /// <param name="folders">The adapters' folders.</param>
    /// <param name="baseDtype">What the user asks for, one of <see cref="WeightFormats.Names"/>.</param>
    /// <returns>The same, but for <see cref="WeightFormats.Auto"/> the format that an adapter needs.</returns>
    /// <exception cref="InputException">A folder's file is broken.</exception>
    public static string DtypeFor(IEnumerable<string> folders, string baseDtype) =>
        baseDtype != WeightFormats.Auto ? baseDtype : folders.Select(Load).FirstOrDefault(needed => needed?.BaseDtype is not null)?.BaseDtype ?? baseDtype;

    /// <summary>Writes the file into a folder.</summary>
    public void Save(string folder) => OwnFile.Save(this, folder, FileName);

    /// <summary>What a new adapter on a model needs; null where it is right on any base of these weights.</summary>
    internal static AdapterBase? Of(INetwork network, LoraConfig config) =>
        config.PeftType == "LORA" && LoraStarts.Find(config.InitialWeights.Name).NeedsSameBase && Formats(network) is [var format, ..] ? new AdapterBase(format) : null;

    /// <summary>That of a combination of adapters; null where nothing is known of it. Adapters of different bases give one of none.</summary>
    /// <exception cref="InputException">Two need different formats.</exception>
    internal static AdapterBase? Common(IEnumerable<AdapterBase?> given)
    {
        AdapterBase[] known = [.. given.OfType<AdapterBase>()];
        string[] needed = [.. known.Select(one => one.BaseDtype).OfType<string>().Distinct()], bases = [.. known.Select(one => one.BaseSha).OfType<string>().Distinct()];
        if (needed.Length > 1)
            throw new InputException($"The adapters need bases in different formats, {string.Join(" and ", needed)}, and no base is in both. Merge each into its own base first ('lowrank merge').");
        var common = new AdapterBase(needed is [var format] ? format : null, bases is [var sha] ? sha : null);
        return common is { BaseDtype: null, BaseSha: null } ? null : common;
    }

    /// <summary>Says that a base is not the one that an adapter was trained beside; null where it is, or where that is not known.</summary>
    internal string? Mismatch(string folder, PretrainedModel model, string? trainedOn) =>
        BaseSha is null || model.Fingerprint is not { } found || found == BaseSha ? null
            : $"{folder} was trained beside another base{(trainedOn is null ? "" : $", {trainedOn}")}: the weights of {model.Folder} have the fingerprint {BaseFingerprint.Short(found)}…, and the adapter's base had " +
            $"{BaseFingerprint.Short(BaseSha)}… (base_sha in {FileName}). What it learned is a change of other weights; give the base that it was trained on.";

    /// <summary>Refuses a base on which the adapter would be wrong.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="model">The base.</param>
    /// <exception cref="InputException">It is kept in another format.</exception>
    internal void Require(string folder, PretrainedModel model)
    {
        if (BaseDtype is null) return;
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
