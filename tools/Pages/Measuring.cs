namespace LowRank.Pages;

/// <summary>Runs the missing measurements and saves the results after every run.</summary>
internal static class Measuring
{
    private const int CostRounds = 3;

    /// <summary>Runs the measurements.</summary>
    /// <param name="arguments">The experiments to run.</param>
    /// <param name="results">The existing results.</param>
    /// <param name="path">The file to save to.</param>
    /// <returns>All results.</returns>
    public static Results Run(Arguments arguments, Results results, string path)
    {
        if (results.Steps != 0 && results.Steps != arguments.Steps && !arguments.Again)
            throw new InputException(
                $"{path} holds runs of {results.Steps} steps, but --steps is {arguments.Steps}: they cannot be " +
                "compared. Use the same number, or --again without --only to repeat all measurements.");
        if (arguments.Again && arguments.Only is null) results = new Results();
        var laboratory = new Laboratory(arguments.Repository, arguments.Steps);
        results = laboratory.Describe(results);
        results.Save(path);
        var measured = new HashSet<string>();
        foreach ((string experiment, IReadOnlyList<RunSpec> specs) in Runs.ByExperiment.Where(
            entry => arguments.Only is null || entry.Key == arguments.Only))
        {
            foreach (RunSpec spec in specs)
            {
                bool known = results.Find(spec.Name) is not null && !(arguments.Again && arguments.Only is not null);
                if (known || !measured.Add(spec.Name)) continue;
                results = results.With(Report(experiment, laboratory.Train(spec)));
                results.Save(path);
            }
            if (experiment != "latency") continue;
            foreach (RunSpec spec in specs.Where(
                spec => arguments.Again || results.Latencies.All(latency => latency.Rank != spec.Rank)))
            {
                results = results.With(laboratory.Time(spec));
                results.Save(path);
            }
        }
        if (arguments.Only is null or "ways")
            results = RepeatBest(arguments, laboratory, SearchRates(arguments, laboratory, results, path), path);
        if (arguments.Only is null or "costs") results = Costs(arguments, laboratory, results, path);
        return results;
    }

    private static Results SearchRates(Arguments arguments, Laboratory laboratory, Results results, string path)
    {
        foreach (Experiment way in Experiments.All)
        {
            Experiments.Search(way, rate =>
            {
                RunSpec spec = Experiments.Spec(way, rate);
                if (!arguments.Again && results.Find(spec.Name) is { } known) return known.HeldOutLoss;
                RunResult run = Report("ways", laboratory.Train(spec));
                results = results.With(run);
                results.Save(path);
                return run.HeldOutLoss;
            });
        }
        return results;
    }

    // Repeats the best rate of each method with other seeds, to show how much of a difference between methods is
    // chance.
    private static Results RepeatBest(Arguments arguments, Laboratory laboratory, Results results, string path)
    {
        foreach (RunSpec spec in Experiments.All.SelectMany(way => Experiments.Repeats(way, results))
            .Where(spec => arguments.Again || results.Find(spec.Name) is null))
        {
            results = results.With(Report("ways", laboratory.Train(spec)));
            results.Save(path);
        }
        return results;
    }

    // Measures in rounds over all methods, so all of them see the same machine.
    private static Results Costs(Arguments arguments, Laboratory laboratory, Results results, string path)
    {
        if (!arguments.Again && Experiments.All.All(way => results.Costs.Any(cost => cost.Method == way.Method)))
            return results;
        var measured = Experiments.All.ToDictionary(way => way.Method, _ => new List<CostRound>());
        for (int round = 0; round < CostRounds; round++)
        {
            foreach (Experiment way in Experiments.All)
            {
                CostRound cost = laboratory.Cost(Experiments.Spec(way, way.FirstRate));
                measured[way.Method].Add(cost);
                Console.WriteLine(
                    $"costs       {way.Method,-14} {cost.Seconds.Average():0.000} s per step  " +
                    $"{cost.ProcessorSeconds.Average():0.000} s of processor time  {cost.MemoryBytes / 1e6:0} MB  " +
                    $"round {round + 1}");
            }
        }
        foreach ((string method, List<CostRound> rounds) in measured)
        {
            results = results.With(
                new CostResult(
                    method, CostRounds, CostRound.Least(rounds, round => round.Seconds),
                    CostRound.Least(rounds, round => round.ProcessorSeconds),
                (long)Statistics.Median(rounds.Select(round => (double)round.MemoryBytes))));
        }
        results.Save(path);
        return results;
    }

    private static RunResult Report(string experiment, RunResult run)
    {
        Console.WriteLine(
            $"{experiment,-11} {run.Name,-22} {run.TrainedWeights,9:N0} weights  held-out {run.HeldOutLoss:0.0000}  " +
            $"facts {run.FactShare:P1}  base text {run.BaseTextLoss:0.000}  {run.SecondsPerStep:0.000} s per step");
        return run;
    }
}
