using LowRank;
using LowRank.Pages;
using LowRank.Kernels.Native;

// usage: dotnet run -c Release --project tools/Pages -- [--only NAME] [--steps N] [--again] [--render]
// Runs the experiments of docs/lora.md and docs/methods.md and writes their figures and tables. Existing entries of
// results.json are kept; --again repeats their measurement, --render measures nothing. docs/performance.md gets the
// measurements of lowrank bench.
NativeAllocator.KeepFreedMemory();
try
{
    Arguments arguments = Arguments.Parse(args);
    string data = Path.Combine(arguments.Repository, "docs", "figures", "lora", "results.json");
    Results results = Results.Load(data);
    if (!arguments.RenderOnly) results = Measuring.Run(arguments, results, data);
    foreach (Page page in Page.All) page.Write(arguments.Repository, results);
    PerformancePage.Write(arguments.Repository);
    return 0;
}
catch (InputException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
