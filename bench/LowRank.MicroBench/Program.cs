using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using LowRank.MicroBench;
using LowRank.Kernels.Native;

// usage: dotnet run -c Release --project bench/LowRank.MicroBench -- --filter '*' [--job short|dry] [--list flat]
// [BenchmarkDotNet's other options] Kernels beside torch's operations; "Ratio" is our time over torch's. Environment
// variables such as DOTNET_EnableAVX512=0 hold both to narrower vectors.
NativeAllocator.KeepFreedMemory();
MicroBenchmark.PrepareThreads();
// In this process: BenchmarkDotNet would else make a project for each run, with libtorch's 500 MB in it.
IConfig config = ManualConfig.CreateEmpty().AddLogger(ConsoleLogger.Default)
    .AddColumnProvider(DefaultColumnProviders.Instance).AddExporter(MarkdownExporter.GitHub)
    .WithArtifactsPath(Path.Combine("artifacts", "benchmarks"));
Summary[] summaries =
    [.. BenchmarkSwitcher.FromAssembly(typeof(MicroBenchmark).Assembly).Run([.. args, "--inProcess"], config)];
// One that failed is in its summary's table alone.
return summaries.Any(summary => summary.HasCriticalValidationErrors || summary.Reports.Any(report => !report.Success))
    ? 1 : 0;
