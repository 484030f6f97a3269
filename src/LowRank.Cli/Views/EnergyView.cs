using LowRank.Adapters.Operations;
using LowRank.Cli.Common;
using Spectre.Console;

namespace LowRank.Cli.Views;

/// <summary>Shows how much of each change smaller pairs keep.</summary>
internal static class EnergyView
{
    public static void Show(
        IReadOnlyList<KeptEnergy> kept, string output, IReadOnlyList<string> otherChanges, bool json)
    {
        double whole = kept.Sum(module => module.Whole), share = whole == 0 ? 1
            : kept.Sum(module => module.Held) / whole;
        if (json)
        {
            JsonOutput.Write(new
            {
                output,
                energy_kept = share,
                other_changes = otherChanges,
                modules = kept.Select(
                    module => new
                    {
                        name = module.Path,
                        rank_before = module.RankBefore,
                        rank = module.Rank,
                        energy_kept = module.Fraction,
                    }),
            });
            return;
        }
        Table table = new Table().Border(TableBorder.Simple).AddColumns("module", "rank before", "rank", "energy kept");
        foreach (KeptEnergy module in kept)
            table.AddRow(Markup.Escape(module.Path), $"{module.RankBefore}", $"{module.Rank}", $"{module.Fraction:p2}");
        Screen.Write(table);
        Console.WriteLine($"{share:p2} of the energy of all changes is kept: {output}");
    }
}
