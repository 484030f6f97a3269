using System.Globalization;

namespace LowRank.Cli.Bench.Gpu;

/// <summary>A measurement of training steps on a GPU, which runs in a process of its own.</summary>
/// <param name="Name">The name of its file, without extension.</param>
/// <param name="Words">The arguments of <c>lowrank</c>, or of the script that times PEFT.</param>
/// <param name="IsPeft">Whether PEFT runs it.</param>
internal sealed record GpuMeasurement(string Name, IReadOnlyList<string> Words, bool IsPeft = false)
{
    /// <summary>The measurements, the most telling ones first: a run that ends early has those.</summary>
    /// <param name="device">cuda or cuda:N; for a trial also cpu.</param>
    /// <param name="isTrial">Whether small models and single steps only show that all works.</param>
    public static IReadOnlyList<GpuMeasurement> All(string device, bool isTrial)
    {
        List<GpuMeasurement> all = [];
        // On a processor the other two kinds are the first again.
        foreach (string size in isTrial ? (string[])["1b"] : ["1b", "8b"])
            foreach (string kind in isTrial ? (string[])["bfloat16", "nf4", "checkpointing"]
                : ["bfloat16", "nf4", "tf32", "checkpointing", "float32"])
                all.Add(Own(size, kind, device, isTrial));
        foreach ((string size, string kind) in ((string, string)[])
            [("1b", "bfloat16"), ("8b", "bfloat16"), ("1b", "tf32"), ("8b", "tf32"), ("1b", "float32")])
            all.Add(Peft(size, kind, device, isTrial));
        return all;
    }

    private static GpuMeasurement Own(string size, string kind, string device, bool isTrial)
    {
        List<string> words = ["bench", "train", .. Steps(size, device, isTrial), "--alike", "--json"];
        bool isCuda = device.StartsWith("cuda", StringComparison.OrdinalIgnoreCase);
        // TF32 covers the float32 products that remain beside bfloat16's.
        if (kind != "float32" && isCuda) words.Add("--tf32");
        // A processor may have no units for it; a trial must run everywhere.
        if (kind is not "float32" and not "tf32") words.AddRange(["--compute-dtype", isTrial ? "auto" : "bfloat16"]);
        if (kind == "nf4") words.AddRange(["--base-dtype", "nf4"]);
        if (kind == "checkpointing") words.Add("--checkpointing");
        return new GpuMeasurement($"gpu_{size}_{kind}", words);
    }

    private static GpuMeasurement Peft(string size, string kind, string device, bool isTrial) =>
        new($"gpu_{size}_{kind}_peft", [.. Steps(size, device, isTrial), "--dtype", kind], IsPeft: true);

    // 2,048 tokens per step, without padding; rank 16 on all linear layers.
    private static string[] Steps(string size, string device, bool isTrial)
    {
        string Number(int trial, int real) => (isTrial ? trial : real).ToString(CultureInfo.InvariantCulture);
        return [isTrial ? "base" : $"llama-{size}", "--batch", Number(2, 4), "--length", Number(16, 512), "--rank",
            Number(4, 16), "--targets", "all-linear", "--steps", Number(1, 5), "--device", device];
    }
}
