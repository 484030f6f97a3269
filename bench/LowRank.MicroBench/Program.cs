using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using LowRank.MicroBench;
using LowRank.Kernels.Native;

// Times kernels beside torch's operations; "Ratio" is our time divided by torch's. Environment variables such as
// DOTNET_EnableAVX512=0 limit both to narrower vectors.
//
//     dotnet run -c Release --project bench/LowRank.MicroBench -- --filter '*' [--job short|dry] [--list flat]
//         [BenchmarkDotNet's other options]
NativeAllocator.KeepFreedMemory();
MicroBenchmark.PrepareThreads();
// In this process, because BenchmarkDotNet would otherwise make a project with libtorch's 500 MB for each run.
IConfig config = ManualConfig.CreateEmpty().AddLogger(ConsoleLogger.Default)
    .AddColumnProvider(DefaultColumnProviders.Instance).AddExporter(MarkdownExporter.GitHub)
    .WithArtifactsPath(Path.Combine("artifacts", "benchmarks"));
Summary[] summaries =
    [.. BenchmarkSwitcher.FromAssembly(typeof(MicroBenchmark).Assembly).Run([.. args, "--inProcess"], config)];
// A failed benchmark is only visible in its summary's table.
return summaries.Any(summary => summary.HasCriticalValidationErrors || summary.Reports.Any(report => !report.Success))
    ? 1 : 0;
