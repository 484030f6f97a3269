using System.Diagnostics;
using System.Text;

namespace LowRank.Testing;

/// <summary>Runs the command line as a process of its own.</summary>
public static class CommandLine
{
    /// <summary>The built command line beside the tests: the same configuration as the tests themselves.</summary>
    public static string Assembly { get; } = Built("src/LowRank.Cli");

    /// <summary>After which a process counts as hanging: no measure of speed, since the machine may be slow and
    /// busy.</summary>
    public static TimeSpan Longest { get; } = TimeSpan.FromMinutes(20);

    /// <summary>The repository's root.</summary>
    public static string Repository => RepositoryFiles.Root;

    /// <summary>The environment of a process that computes with so many threads, and not with one like the
    /// tests.</summary>
    public static IReadOnlyDictionary<string, string> Threads(int count) =>
        new Dictionary<string, string> { ["OMP_NUM_THREADS"] = $"{count}" };

    private static string Configuration =>
        AppContext.BaseDirectory.Contains(
            $"{Path.DirectorySeparatorChar}Release{Path.DirectorySeparatorChar}", StringComparison.Ordinal)
            ? "Release" : "Debug";

    /// <summary>The program of a project, built beside the tests.</summary>
    /// <param name="project">Its folder in the repository, which has its name.</param>
    public static string Built(string project) =>
        Path.Combine(Repository, project, "bin", Configuration, "net10.0", Path.GetFileName(project) + ".dll");

    /// <summary>Runs to the end, as long as nothing hangs.</summary>
    public static CommandResult Run(params string[] arguments) => RunIn(Repository, arguments);

    /// <summary>As <see cref="Run"/>, in a folder.</summary>
    public static CommandResult RunIn(string folder, params string[] arguments) =>
        RunProgram(Assembly, folder, arguments);

    /// <summary>As <see cref="Run"/>, with a text as standard input.</summary>
    public static CommandResult RunWithInput(string input, params string[] arguments) =>
        Run(Assembly, Repository, arguments, input);

    /// <summary>As <see cref="Run"/>, with further environment variables.</summary>
    public static CommandResult RunWith(IReadOnlyDictionary<string, string> environment, params string[] arguments) =>
        Run(Assembly, Repository, arguments, null, environment);

    /// <summary>Runs any built program to the end, as long as nothing hangs.</summary>
    public static CommandResult RunProgram(string assembly, string folder, params string[] arguments) =>
        Run(assembly, folder, arguments, null);

    /// <summary>As <see cref="RunProgram(string, string, string[])"/>, with further environment variables.</summary>
    public static CommandResult RunProgram(IReadOnlyDictionary<string, string> environment, string assembly,
        string folder, params string[] arguments) => Run(assembly, folder, arguments, null, environment);

    /// <summary>Runs another program to its end, as long as nothing hangs.</summary>
    public static CommandResult RunOther(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(
            program, arguments) { UseShellExecute = false, RedirectStandardOutput = true,
            RedirectStandardError = true };
        start.Environment["NO_COLOR"] = "1";
        using Process process = Process.Start(start)
            ?? throw new InvalidOperationException($"{program} did not start.");
        return End(process, program);
    }

    private static CommandResult Run(
        string assembly, string folder, string[] arguments, string? input,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        using Process process = StartProgram(assembly, folder, arguments, readsInput: input is not null, environment);
        if (input is not null)
        {
            process.StandardInput.Write(input); // what a pipe holds is less than a test says
            process.StandardInput.Close();
        }
        return End(process, $"lowrank {string.Join(' ', arguments)}");
    }

    private static CommandResult End(Process process, string what)
    {
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Longest))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{what} did not end within {Longest.TotalMinutes} minutes.");
        }
        return new CommandResult(process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
    }

    /// <summary>Starts without waiting.</summary>
    public static Process Start(string folder, params string[] arguments) =>
        StartProgram(Assembly, folder, arguments, readsInput: false);

    private static Process StartProgram(
        string assembly, string folder, string[] arguments, bool readsInput,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(
            "dotnet") { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
            WorkingDirectory = folder };
        if (readsInput)
            (start.RedirectStandardInput, start.StandardInputEncoding) =
                (true, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        start.ArgumentList.Add(assembly);
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        start.Environment["NO_COLOR"] = "1";
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        return Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start.");
    }
}
