// Makes the figures of docs/lora.md and docs/methods.md: trains the embedded base model in many short runs through the
// command line, keeps what they measured in docs/figures/results.json, and writes tables and plots from that file.
//
//   dotnet build -c Release src/LowRank.Cli
//   dotnet run -c Release --project samples/understanding -- run [GROUP …] [--base-text FILE]   # an hour on two cores; done runs are kept
//   dotnet run -c Release --project samples/understanding -- write
//
// FILE is held-out text of the base, validation.jsonl of models/base/prepare.sh; without it forgetting is not measured.
using LowRank.Samples.Understanding;

string root = Repository.Root();
Results results = Results.Load(Path.Combine(root, "docs", "figures", "results.json"));
List<string> rest = [.. args.Skip(1)];
int at = rest.IndexOf("--base-text");
string? baseText = at >= 0 && at + 1 < rest.Count ? rest[at + 1] : null;
if (at >= 0) rest.RemoveRange(at, Math.Min(2, rest.Count - at));
switch (args is [var command, ..] ? command : "")
{
    case "run":
        var runner = new Runner(root, results, baseText);
        foreach (Experiment experiment in Experiments.All.Where(known => rest.Count == 0 || rest.Contains(known.Group))) runner.Run(experiment);
        if (rest.Count == 0 || rest.Contains("latency")) runner.MeasureLatency();
        break;
    case "write":
        Report.Write(root, results);
        break;
    default:
        Console.Error.WriteLine($"usage: run [{string.Join(" | ", Experiments.All.Select(known => known.Group).Distinct())} | latency] [--base-text FILE], or write");
        return 2;
}
return 0;
