using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Bench;
using LowRank.Cli.Bench.Generate;
using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.SpeedTests;

/// <summary>shares.json: shares of the limit that were measured, by kind of machine.</summary>
internal static class RecordedShares
{
    /// <summary>The file's path in the repository.</summary>
    public const string Source = "tests/LowRank.SpeedTests/shares.json";

    private const string Switch = "LOWRANK_RECORD_SHARES";

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>What shares depend on: the processor, its vectors, who multiplies matrices, and the threads.</summary>
    public static string Kind { get; } = string.Create(CultureInfo.InvariantCulture,
        $"{Processor()}, vectors of {GenerateBench.VectorWidth} numbers, products of " +
            $"{(BlockedProduct.IsFaster ? "LowRank" : "libtorch")}, {get_num_threads()} threads");

    /// <summary>Whether what is measured is to be recorded.</summary>
    public static bool IsRecording => Environment.GetEnvironmentVariable(Switch) == "1";

    /// <summary>How to record.</summary>
    public static string Command => $"{Switch}=1 dotnet run -c Release --project tests/LowRank.SpeedTests";

    /// <summary>Whether anything was recorded on a machine of this kind: what holds there need not hold on
    /// another.</summary>
    public static bool KnowsThisKind =>
        Load(Path.Combine(AppContext.BaseDirectory, Path.GetFileName(Source))).ContainsKey(Kind);

    /// <summary>What was recorded on a machine of this kind; null where nothing was.</summary>
    /// <param name="name">The share's name.</param>
    public static RecordedShare? Here(string name) =>
        Load(Path.Combine(AppContext.BaseDirectory, Path.GetFileName(Source)))[Kind]?[name]
        .Deserialize<RecordedShare>(Format);

    /// <summary>Writes what was measured into the repository.</summary>
    /// <param name="name">The share's name.</param>
    /// <param name="share">The share.</param>
    public static void Record(string name, RecordedShare share)
    {
        string path = Path.Combine(Repository(), Source);
        JsonObject all = Load(path);
        JsonObject here = all[Kind]?.AsObject() ?? [];
        here["machine"] = Machine.Describe();
        here["commit"] = Machine.Commit();
        here[name] = JsonSerializer.SerializeToNode(
            new RecordedShare(Math.Round(share.Share, 3), Math.Round(share.Limit)), Format);
        all[Kind] = here.DeepClone();
        File.WriteAllText(path, all.ToJsonString(Format) + "\n");
    }

    private static JsonObject Load(string path) => JsonNode.Parse(File.ReadAllText(path))!.AsObject();

    private static string Repository()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "LowRank.slnx")))
            folder = folder.Parent;
        return folder?.FullName
            ?? throw new DirectoryNotFoundException($"LowRank.slnx was not found above {AppContext.BaseDirectory}.");
    }

    // The vendor stands in EBX, EDX, ECX of leaf 0; family and model in EAX of leaf 1, each in a short and an extended
    // part.
    private static string Processor()
    {
        if (!X86Base.IsSupported) return RuntimeInformation.ProcessArchitecture.ToString();
        (int _, int ebx, int ecx, int edx) = X86Base.CpuId(0, 0);
        int signature = X86Base.CpuId(1, 0).Eax, family = (signature >> 8 & 0xF) + (signature >> 20 & 0xFF),
            model = (signature >> 4 & 0xF) + (signature >> 12 & 0xF0);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{System.Text.Encoding.ASCII.GetString(MemoryMarshal.AsBytes<int>([ebx, edx, ecx]))} family {family} " +
            $"model {model}");
    }
}
