using LowRank.Cli.Bench.Generate;
using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Serve;

/// <summary>Measures an engine on random prompts, beside llama.cpp where it is at hand.</summary>
internal static class ServeBench
{
    /// <summary>Measures one shape.</summary>
    /// <returns>A measurement for each of the formats, in their order.</returns>
    public static IReadOnlyList<ServeMeasurement> Run(ServeOptions options)
    {
        options.Check();
        set_num_threads(options.Threads ?? ProcessorCores.Usable());
        using ServeFolder folder = Aside(() => ServeFolder.Open(options));
        List<ServeSession> sessions = [];
        LlamaBench? bench = null;
        LlamaServer? server = null;
        try
        {
            foreach (string format in options.BaseDtypes) sessions.Add(ServeSession.Open(options, folder, format));
            string[] formats = [.. sessions.Select(session => session.Format)];
            if (options.LlamaBench is { } program)
                bench = Aside(() => LlamaBench.Prepare(
                    program, folder.Path, formats, options.ForLlamaBench, get_num_threads()));
            if (options.LlamaServer is { } serving)
                server = Aside(() => LlamaServer.Prepare(serving, folder, formats, options, get_num_threads()));
            foreach (ServeSession session in sessions) session.Prepare();
            // In turn, so a machine that slows down affects all measurements.
            for (int round = 0; round < options.Rounds; round++)
                foreach (ServeSession session in sessions)
                {
                    session.Round();
                    bench?.Round(session.Format);
                    server?.Round(session.Format);
                }
            foreach (ServeSession session in sessions) session.MeasureLoads();
            return [.. sessions.Select(session => session.Found() with
                { Other = bench?.Found(session.Format), Server = server?.Found(session.Format) })];
        }
        finally
        {
            foreach (ServeSession session in sessions) session.Dispose();
            bench?.Dispose();
            server?.Dispose();
        }
    }

    // Torch's own threads belong to the thread that computes, and end with it. Where there are more of them than
    // processors, OpenMP lets them sleep between two products, which would be measured.
    private static T Aside<T>(Func<T> work) => Task.Factory.StartNew(
        work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).GetAwaiter().GetResult();
}
