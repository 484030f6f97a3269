using LowRank.Adapters.Files;
using LowRank.IO;
using LowRank.Models;
using LowRank.Quantization;

namespace LowRank.Adapters;

/// <summary>The base that an adapter was trained on. Stored in a file next to PEFT's two, which PEFT ignores.</summary>
/// <param name="BaseDtype">The required format of the base's linear weights, one of <see cref="WeightFormats.Names"/>,
/// for an adapter whose pairs started as the quantisation error of the weights (LoftQ) and which is only valid with
/// that format. Null if any format works.</param>
/// <param name="BaseSha">The fingerprint of the base's weights (<see cref="PretrainedModel.Fingerprint"/>); null if
/// unknown.</param>
public sealed record AdapterBase(string? BaseDtype = null, string? BaseSha = null)
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "lowrank_base.json";

    /// <summary>Reads the file of an adapter folder; null if there is none.</summary>
    /// <exception cref="InputException">The file is invalid or contains an unknown format.</exception>
    public static AdapterBase? Load(string folder)
    {
        AdapterBase? read = SidecarFile.Load<AdapterBase>(folder, FileName, "on any base", _ => null);
        if (read is null) return null;
        if (read.BaseSha is { } sha && !BaseFingerprint.IsOne(sha))
            throw new InputException(
                $"{Path.Combine(folder, FileName)}: base_sha is {sha}, expected 64 hexadecimal digits in lower " +
                "case. Restore the file, or remove base_sha.");
        if (read.BaseDtype is null ? read.BaseSha is not null
            : WeightFormats.All.Any(format => format.Name == read.BaseDtype))
            return read;
        throw new InputException(
            $"{Path.Combine(folder, FileName)}: base_dtype is {read.BaseDtype ?? "missing, as is base_sha"}, " +
            $"expected one of {string.Join(", ", WeightFormats.All.Select(format => format.Name))}. " +
            "Restore the file: the adapter is right beside a base in one format alone.");
    }

    /// <summary>The format in which to open a base for adapters.</summary>
    /// <param name="folders">The adapters' folders.</param>
    /// <param name="baseDtype">The format that the user requests, one of <see cref="WeightFormats.Names"/>.</param>
    /// <returns>The same format, or for <see cref="WeightFormats.Auto"/> the one that an adapter needs.</returns>
    /// <exception cref="InputException">A folder's file is invalid.</exception>
    public static string DtypeFor(IEnumerable<string> folders, string baseDtype) =>
        baseDtype != WeightFormats.Auto ? baseDtype
            : folders.Select(Load).FirstOrDefault(needed => needed?.BaseDtype is not null)?.BaseDtype ?? baseDtype;

    /// <summary>Writes the file into a folder.</summary>
    public void Save(string folder) => SidecarFile.Save(this, folder, FileName);

    /// <summary>The requirements of a new adapter on a model; null if any base with these weights works.</summary>
    internal static AdapterBase? From(INetwork network, AdapterConfig config) =>
        config is LoraConfig lora && LoraInitializers.Find(lora.InitLoraWeights.Name).NeedsSameBase
            && Formats(network) is [var format, ..] ? new AdapterBase(format) : null;

    /// <summary>The requirements of a combination of adapters; null if nothing is known. Adapters of different bases
    /// result in no base.</summary>
    /// <exception cref="InputException">Two need different formats.</exception>
    internal static AdapterBase? Common(IEnumerable<AdapterBase?> given)
    {
        AdapterBase[] known = [.. given.OfType<AdapterBase>()];
        string[] needed = [.. known.Select(one => one.BaseDtype).OfType<string>().Distinct()],
            bases = [.. known.Select(one => one.BaseSha).OfType<string>().Distinct()];
        if (needed.Length > 1)
            throw new InputException(
                $"The adapters need bases in different formats, {string.Join(" and ", needed)}, and no base is in " +
                $"both. Merge each into its own base first{KnownSettings.Merge.Aside}.");
        var common = new AdapterBase(needed is [var format] ? format : null, bases is [var sha] ? sha : null);
        return common is { BaseDtype: null, BaseSha: null } ? null : common;
    }

    /// <summary>A warning that a base is not the one that an adapter was trained on; null if it is, or if that is
    /// unknown.</summary>
    internal string? Mismatch(string folder, PretrainedModel model, string? trainedOn) =>
        BaseSha is null || model.Fingerprint is not { } found || found == BaseSha ? null
            : $"{folder} was trained beside another base{(trainedOn is null ? "" : $", {trainedOn}")}: the weights " +
            $"of {model.Folder} have the fingerprint {BaseFingerprint.Short(found)}…, and the adapter's base had " +
            $"{BaseFingerprint.Short(BaseSha)}… (base_sha in {FileName}). What it learned is a change of other " +
                "weights; give the base that it was trained on.";

    /// <summary>Rejects a base that would give wrong results with the adapter.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="model">The base.</param>
    /// <exception cref="InputException">The base is in another format.</exception>
    internal void Require(string folder, PretrainedModel model)
    {
        if (BaseDtype is null) return;
        IReadOnlyList<string> formats = Formats(model.Network);
        // expanding a packed weight does not change it
        if (formats.Contains(BaseDtype) || (formats.Count == 0 && StoredFormats(model.Folder).Contains(BaseDtype)))
            return;
        throw new InputException(new Problem(
            $"{folder} began as what {BaseDtype} takes from the base's weights (LoftQ) and is right beside a base " +
            $"in {BaseDtype} alone, but {model.Folder} was opened in " +
            $"{(formats.Count == 0 ? WeightFormats.Float32 : string.Join(" and ", formats))}. Open it in " +
            $"{BaseDtype}.") { Code = ProblemCodes.WrongFormat, Remedy = KnownSettings.BaseDtype.To(BaseDtype) });
    }

    private static IReadOnlyList<string> Formats(INetwork network) =>
        [.. network.QuantizedWeights.Select(weight => weight.Value.Format).Distinct()];

    private static IEnumerable<string> StoredFormats(string folder)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        return [.. BitsAndBytesReader.Read(checkpoint).Values.Select(stored => stored.Format).Distinct()];
    }
}
