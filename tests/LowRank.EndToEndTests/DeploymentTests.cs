using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace LowRank.EndToEndTests;

/// <summary>The command line, published and installed as a tool.</summary>
[Collection(DeployedCollection.Name)]
public sealed class DeploymentTests(DeployedProgram program)
{
    [Fact]
    public async Task The_published_program_loads_torch_from_its_own_folder() =>
        await LoadsTorch(program.PublishedProgram, program.PublishFolder);

    [Fact]
    public async Task The_installed_tool_loads_torch_from_its_own_folder() =>
        await LoadsTorch(program.Tool, program.ToolFolder);

    [Fact]
    public async Task The_single_file_loads_torch_from_its_own_folder() =>
        await LoadsTorch(program.SingleFile, program.SingleFileFolder);

    [Fact]
    public async Task A_program_may_call_torch_before_the_library() =>
        await LoadsTorch(program.PublishedProgram, program.PublishFolder, "torch first");

    // As the container starts it (deploy/Dockerfile).
    [Fact]
    public async Task The_published_program_serves_by_its_assembly() => Assert.Contains("--adapter-root",
        await program.Succeed("dotnet", [Path.Combine(program.PublishFolder, "LowRank.Cli.dll"), "serve", "--help"]),
        StringComparison.Ordinal);

    [Fact]
    public async Task The_installed_tool_adapts_the_embedded_base_in_a_folder_without_sources()
    {
        string folder = program.Folder("tool-run");
        Assert.Contains("+", await program.Succeed(program.Tool, ["--version"], folder));
        await program.Succeed(program.Tool,
            ["init", "hotels.yaml", "--model", "embedded", "--data", "embedded/hotels/train.jsonl", "--output", "run"],
            folder);
        Assert.Contains("model: embedded ", await File.ReadAllTextAsync(
            Path.Combine(folder, "hotels.yaml"), TestContext.Current.CancellationToken));
        await program.Succeed(program.Tool,
            ["train", "hotels.yaml", "--set", "training.epochs=null", "--set", "training.steps=2", "--set",
                "training.batch_size=2"], folder);
        Assert.True(File.Exists(Path.Combine(folder, "run", "adapter", "adapter_model.safetensors")));
    }

    [Fact]
    public void The_tool_is_a_package_per_platform()
    {
        string platform = RuntimeInformation.RuntimeIdentifier, version = DeployedProgram.Version;
        using ZipArchive all = ZipFile.OpenRead(Path.Combine(program.Packages, $"LowRank.Cli.{version}.nupkg")),
            own = ZipFile.OpenRead(Path.Combine(program.Packages, $"LowRank.Cli.{platform}.{version}.nupkg"));
        Assert.DoesNotContain(all.Entries, entry => entry.Name.Contains("torch", StringComparison.OrdinalIgnoreCase));
        Assert.Contains(own.Entries, entry => entry.Name.Contains("torch_cpu", StringComparison.Ordinal));
    }

    [Fact]
    public void Only_the_libtorch_of_this_platform_is_deployed()
    {
        foreach (string folder in new[] { program.PublishFolder, program.SingleFileFolder, program.ToolFolder })
        {
            Assert.DoesNotContain(Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
                .Select(file => Path.GetFileNameWithoutExtension(file)),
                name => name.Contains("torch_python", StringComparison.Ordinal)
                    || name.EndsWith("_test", StringComparison.Ordinal));
            string[] libraries = [.. Directory.EnumerateFiles(folder, "*torch_cpu.*", SearchOption.AllDirectories)
                .Select(file => Path.GetFileName(file)).Distinct()];
            string expected = OperatingSystem.IsWindows() ? "torch_cpu.dll" : OperatingSystem.IsMacOS()
                ? "libtorch_cpu.dylib" : "libtorch_cpu.so";
            Assert.Contains(expected, libraries);
            Assert.Single(libraries, name => !name.EndsWith(".lib", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task The_package_cache_is_left_as_it_was_unpacked()
    {
        // Outputs are hard links to the cache's files: one write to them would break every other program on the
        // machine.
        await LoadsTorch(program.PublishedProgram, program.PublishFolder);
        string version = Regex.Match(RepositoryFiles.Read("Directory.Packages.props"),
            "Include=\"TorchSharp\" Version=\"(?<version>[^\"]+)\"").Groups["version"].Value;
        string package = Path.Combine(DeployedProgram.PackageCache, "torchsharp", version);
        using ZipArchive archive = await ZipFile.OpenReadAsync(
            Path.Combine(package, $"torchsharp.{version}.nupkg"), TestContext.Current.CancellationToken);
        ZipArchiveEntry[] natives =
            [.. archive.Entries.Where(entry => entry.FullName.StartsWith("runtimes/", StringComparison.Ordinal))];
        Assert.NotEmpty(natives);
        foreach (ZipArchiveEntry entry in natives)
        {
            using var original = new MemoryStream();
            await using (Stream stream = await entry.OpenAsync(TestContext.Current.CancellationToken))
                await stream.CopyToAsync(original, TestContext.Current.CancellationToken);
            byte[] cached = await File.ReadAllBytesAsync(
                Path.Combine(package, entry.FullName), TestContext.Current.CancellationToken);
            Assert.True(original.ToArray().AsSpan().SequenceEqual(cached),
                $"{entry.FullName} in {package} was changed");
        }
    }

    private async Task LoadsTorch(string path, string folder, string hook = "torch")
    {
        (int exitCode, string output) = await program.Run(path, [], new Dictionary<string, string>
        {
            ["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location,
            [StartupHook.Variable] = hook,
            // Nothing may come from the cache instead.
            ["NUGET_PACKAGES"] = Path.Combine(folder, "no-packages"),
        });
        Assert.True(exitCode == 0, output);
        string[] lines = output.Split('\n', StringSplitOptions.TrimEntries);
        Assert.Equal("6", lines[0]);
        if (OperatingSystem.IsLinux()) Assert.StartsWith(folder, lines[1]);
    }
}
