using System.CommandLine;
using LowRank.Cli.Bench;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank bench</c>.</summary>
internal sealed class BenchCommand : ICliCommand
{
    public string Example => "lowrank bench train gpt2-small --rank 8 --targets c_attn --batch 4 --length 256";

    public Command Build()
    {
        var command = new Command(
            "bench", "Measure this machine: how near the program comes to what the processor can do.");
        foreach (Type type in typeof(IBenchmark).Assembly.GetTypes()
            .Where(type => type.IsClass && type.IsAssignableTo(typeof(IBenchmark)))
            .OrderBy(type => type.Name, StringComparer.Ordinal))
            command.Add(((IBenchmark)Activator.CreateInstance(type)!).Build());
        return command;
    }
}
