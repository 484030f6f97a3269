using System.Text.Json;
using LowRank.Cli.Bench;

namespace LowRank.SpeedTests;

/// <summary>shares.json: shares of the limit that were measured, by kind of processor and by machine.</summary>
internal static class RecordedShares
{
    /// <summary>The file's path in the repository.</summary>
    public const string Source = "tests/LowRank.SpeedTests/shares.json";

    private const string Switch = "LOWRANK_RECORD_SHARES";

    private static readonly JsonSerializerOptions Format =
        new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        PropertyNameCaseInsensitive = true };

    /// <summary>Whether what is measured is to be recorded.</summary>
    public static bool IsRecording => Environment.GetEnvironmentVariable(Switch) == "1";

    /// <summary>How to record.</summary>
    public static string Command => $"{Switch}=1 dotnet run -c Release --project tests/LowRank.SpeedTests";

    /// <summary>What was recorded on machines of this kind; null where nothing was.</summary>
    public static RecordedKind? Here => Find(
        Read(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, Path.GetFileName(Source)))), ProcessorKind.Here());

    /// <summary>The records of a file.</summary>
    public static IReadOnlyList<RecordedKind> Read(string json) =>
        JsonSerializer.Deserialize<RecordedKind[]>(json, Format)!;

    /// <summary>A file's text.</summary>
    public static string Write(IReadOnlyList<RecordedKind> kinds) => JsonSerializer.Serialize(kinds, Format) + "\n";

    /// <summary>The records of a kind, all machines together; null where there are none.</summary>
    public static RecordedKind? Find(IReadOnlyList<RecordedKind> kinds, ProcessorKind kind)
    {
        RecordedMachine[] machines = [.. kinds.Where(known => known.Kind.Covers(kind))
            .SelectMany(known => known.Machines)];
        return machines.Length == 0 ? null : new RecordedKind(kind, machines);
    }

    /// <summary>The records with one more share, measured on this machine.</summary>
    public static IReadOnlyList<RecordedKind> With(
        IReadOnlyList<RecordedKind> kinds, ProcessorKind kind, string machine, string commit, string name,
        RecordedShare share)
    {
        RecordedKind own = (kinds.FirstOrDefault(known => known.Kind == kind) ?? new RecordedKind(kind, []))
            .With(machine, commit, name, share);
        return kinds.Any(known => known.Kind == kind)
            ? [.. kinds.Select(known => known.Kind == kind ? own : known)] : [.. kinds, own];
    }

    /// <summary>Writes what was measured into the repository.</summary>
    /// <param name="name">The share's name.</param>
    /// <param name="share">The share.</param>
    public static void Record(string name, RecordedShare share)
    {
        string path = Path.Combine(RepositoryFiles.Root, Source);
        File.WriteAllText(path, Write(With(
            Read(File.ReadAllText(path)), ProcessorKind.Here(), Machine.Describe(), Machine.Commit(), name,
            new RecordedShare(Math.Round(share.Share, 3), Math.Round(share.Limit)))));
    }
}
