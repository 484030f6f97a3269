using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LowRank.EndToEndTests;

/// <summary>The command line as users get it: published, and packed and installed as a tool. Made once for all tests,
/// in a folder of its own (the outputs of a build that is running beside the tests are not touched), and removed after
/// them.</summary>
public sealed class DeployedProgram : IAsyncLifetime
{
    private readonly string root = Directory.CreateTempSubdirectory("lowrank-deploy-").FullName;

    public string PublishFolder => Path.Combine(root, "publish");

    public string PublishedProgram => Path.Combine(PublishFolder, "LowRank.Cli" + Extension);

    public string ToolFolder => Path.Combine(root, "tool");

    public string Tool => Path.Combine(ToolFolder, "lowrank" + Extension);

    private static string Extension => OperatingSystem.IsWindows() ? ".exe" : "";

    public async ValueTask InitializeAsync()
    {
        string project = Path.Combine(RepositoryRoot(), "src", "LowRank.Cli"),
            artifacts = Path.Combine(root, "artifacts");
        string[] common =
            ["-c", "Release", "--artifacts-path", artifacts, "-nologo", "-v", "quiet", "-p:PackageVersion=0.0.1-test",
            "-p:RunAnalyzers=false"];
        await Succeed("dotnet", ["publish", project, "-o", PublishFolder, .. common]);
        await Succeed("dotnet", ["pack", project, "-o", Path.Combine(root, "packages"), "--no-build", .. common]);
        // No other source: the tool must be complete in its package, and installing it must not need the network.
        string configuration = Path.Combine(root, "nuget.config");
        await File.WriteAllTextAsync(configuration,
            """<configuration><packageSources><clear/><add key="local" value="packages"/></packageSources></configuration>""");
        await Succeed("dotnet",
            ["tool", "install", "LowRank.Cli", "--version", "0.0.1-test", "--tool-path", ToolFolder, "--configfile",
                configuration]);
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(root, recursive: true);
        return ValueTask.CompletedTask;
    }

    /// <summary>Runs a program to its end, in a folder that holds nothing of ours.</summary>
    public async Task<(int ExitCode, string Output)> Run(
        string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = root,
        };
        // The shared runtime this test runs on; and no build server that would outlive it.
        start.Environment["DOTNET_ROOT"] =
            Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["UseSharedCompilation"] = "false";
        foreach ((string key, string value) in environment ?? new Dictionary<string, string>())
            start.Environment[key] = value;
        using Process process = Process.Start(start)
            ?? throw new InvalidOperationException($"{program} did not start.");
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(CommandLine.Longest);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException e)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException(
                $"{program} {string.Join(' ', arguments)} did not end within {CommandLine.Longest.TotalMinutes} " +
                "minutes.", e);
        }
        return (process.ExitCode, await output + await errors);
    }

    private async Task Succeed(string program, IReadOnlyList<string> arguments)
    {
        (int exitCode, string output) = await Run(program, arguments);
        if (exitCode != 0)
            throw new InvalidOperationException(
                $"{program} {string.Join(' ', arguments)} ended with {exitCode}:\n{output}");
    }

    private static string RepositoryRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "LowRank.slnx"))) return folder.FullName;
        throw new InvalidOperationException($"LowRank.slnx was not found above {AppContext.BaseDirectory}.");
    }
}
