using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace LowRank.EndToEndTests;

/// <summary>The packages, as a new project gets them.</summary>
[Collection(DeployedCollection.Name)]
public sealed class PackageTests(DeployedProgram deployed)
{
    [Fact]
    public async Task A_fresh_project_adapts_the_embedded_base_and_is_told_which_package_is_missing()
    {
        (string folder, string assembly) = await Build("first", "FirstProgram", "LowRank");
        string output = Path.GetDirectoryName(assembly)!;
        SaysSomethingElse(await deployed.Succeed("dotnet", [assembly], folder));
        Assert.True(File.Exists(Path.Combine(folder, "hotels", "adapter", "adapter_model.safetensors")));
        await RunsTrimmed(folder);
        string[] natives = [.. Directory
            .EnumerateFiles(Path.Combine(output, "runtimes"), "*", SearchOption.AllDirectories)
            .Where(file => Path.GetFileName(file).Contains("torch_cpu", StringComparison.Ordinal))];
        File.Delete(Assert.Single(natives));

        await FailsWith("DllNotFoundException", "dotnet add package LowRank.Cpu", assembly, folder);
        Directory.Delete(Path.Combine(output, "embedded"), recursive: true);
        await FailsWith("InputException", "dotnet add package LowRank.Embedded", assembly, folder);
    }

    [Fact]
    public async Task A_fresh_project_serves_and_embeds_by_the_packages_for_servers_and_services()
    {
        (string folder, string assembly) =
            await Build("server", "FirstServer", "LowRank.Server", "LowRank.Extensions.AI");
        Assert.Matches(@"served: +\S.*\n(.*\n)*embedded: 192\n", await deployed.Succeed("dotnet", [assembly], folder));
    }

    private async Task<(string Folder, string Assembly)> Build(string name, string program, params string[] libraries)
    {
        string folder = deployed.Folder(name);
        await File.WriteAllTextAsync(Path.Combine(folder, "nuget.config"), Configuration(), Cancellation);
        await File.WriteAllTextAsync(Path.Combine(folder, $"{name}.csproj"), Project(libraries), Cancellation);
        File.Copy(Path.Combine(CommandLine.Repository, "tests/LowRank.EndToEndTests", program, "Program.cs"),
            Path.Combine(folder, "Program.cs"));
        await deployed.Succeed("dotnet", ["build", "-c", "Release", "-nologo", "-v", "quiet", "-warnaserror"], folder);
        return (folder, Path.Combine(folder, "bin", "Release", "net10.0", $"{name}.dll"));
    }

    private static void SaysSomethingElse(string output)
    {
        Match said = Regex.Match(output, @"^before: (?<before>.*?)\nafter: (?<after>.*)$", RegexOptions.Singleline);
        Assert.True(said.Success, output);
        Assert.NotEqual("", said.Groups["after"].Value.Trim());
        Assert.NotEqual(said.Groups["before"].Value.Trim(), said.Groups["after"].Value.Trim());
    }

    private async Task RunsTrimmed(string folder)
    {
        await deployed.Succeed("dotnet",
            ["publish", "-c", "Release", "-r", RuntimeInformation.RuntimeIdentifier, "--self-contained", "-o",
                "trimmed",
                "-p:PublishTrimmed=true", "-nologo", "-v", "quiet"], folder);
        string program = Path.Combine(folder, "trimmed", OperatingSystem.IsWindows() ? "first.exe" : "first");
        SaysSomethingElse(await deployed.Succeed(program, [], folder));
        Assert.False(File.Exists(Path.Combine(folder, "trimmed", "System.Data.Common.dll")), "nothing was trimmed");
    }

    private async Task FailsWith(string exception, string line, string assembly, string folder)
    {
        // NuGet's cache does not stand in for what is missing.
        (int exitCode, string said) = await deployed.Run("dotnet", [assembly],
            new Dictionary<string, string> { ["NUGET_PACKAGES"] = Path.Combine(folder, "none") }, folder);
        Assert.NotEqual(0, exitCode);
        Assert.Contains(exception, said);
        Assert.Contains(line, said);
        Assert.DoesNotContain("TypeInitializationException", said);
    }

    [Fact]
    public void Each_package_says_what_it_is()
    {
        string[] packages = [.. Directory.EnumerateFiles(deployed.Packages, "*.nupkg")];
        Assert.Superset(new HashSet<string>
        {
            "LowRank", "LowRank.Cli", "LowRank.Cpu", "LowRank.Embedded", "LowRank.Extensions.AI", "LowRank.Jinja",
            "LowRank.Server",
            "LowRank.Tokenizers",
        }, packages.Select(Id).ToHashSet());
        foreach (string package in packages)
        {
            using ZipArchive archive = ZipFile.OpenRead(package);
            XElement metadata = Metadata(archive);
            foreach (string name in
                (string[])["id", "version", "authors", "license", "icon", "readme", "description", "tags"])
                Assert.False(string.IsNullOrEmpty(Value(metadata, name)), $"{package} lacks {name}");
            Assert.NotNull(archive.GetEntry(Value(metadata, "icon")!));
            Assert.NotNull(archive.GetEntry(Value(metadata, "readme")!));
            XElement repository = metadata.Elements().Single(element => element.Name.LocalName == "repository");
            Assert.Matches("^[0-9a-f]{40}$", repository.Attribute("commit")!.Value);
        }
    }

    [Theory]
    [InlineData("LowRank")]
    [InlineData("LowRank.Extensions.AI")]
    [InlineData("LowRank.Jinja")]
    [InlineData("LowRank.Server")]
    [InlineData("LowRank.Tokenizers")]
    public void A_library_has_documentation_and_symbols_and_nothing_of_the_machine_that_built_it(string id)
    {
        string name = Path.Combine(deployed.Packages, $"{id}.{DeployedProgram.Version}");
        using ZipArchive archive = ZipFile.OpenRead(name + ".nupkg"), symbols = ZipFile.OpenRead(name + ".snupkg");
        Assert.NotNull(archive.GetEntry($"lib/net10.0/{id}.xml"));
        Assert.DoesNotContain(
            archive.Entries, entry => entry.FullName.StartsWith("runtimes/", StringComparison.Ordinal));
        Assert.DoesNotContain(Metadata(archive).Descendants(), dependency =>
            dependency.Attribute("id")?.Value.StartsWith("libtorch", StringComparison.OrdinalIgnoreCase) == true);
        byte[] program = Bytes(archive.GetEntry($"lib/net10.0/{id}.dll")!),
            debug = Bytes(symbols.GetEntry($"lib/net10.0/{id}.pdb")!);
        byte[] here = Encoding.UTF8.GetBytes(CommandLine.Repository);
        Assert.Equal(-1, program.AsSpan().IndexOf(here));
        Assert.Equal(-1, debug.AsSpan().IndexOf(here));
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Id(string package)
    {
        using ZipArchive archive = ZipFile.OpenRead(package);
        return Value(Metadata(archive), "id")!;
    }

    private static XElement Metadata(ZipArchive archive)
    {
        using Stream stream = archive.Entries
            .Single(entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        return XDocument.Load(stream).Root!.Elements().Single(element => element.Name.LocalName == "metadata");
    }

    private static string? Value(XElement metadata, string name) =>
        metadata.Elements().FirstOrDefault(element => element.Name.LocalName == name)?.Value;

    private static byte[] Bytes(ZipArchiveEntry entry)
    {
        using var bytes = new MemoryStream();
        using (Stream stream = entry.Open()) stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    // Into an empty folder of packages; what this machine holds of others' packages is not fetched again.
    private string Configuration() => $"""
        <configuration>
          <config><add key="globalPackagesFolder" value="packages"/></config>
          <packageSources>
            <clear/>
            <add key="local" value="{deployed.Packages}"/>
            <add key="nuget.org" value="https://api.nuget.org/v3/index.json"/>
          </packageSources>
          <fallbackPackageFolders>
            <clear/>
            <add key="cache" value="{DeployedProgram.PackageCache}"/>
          </fallbackPackageFolders>
        </configuration>
        """;

    private static string Project(IEnumerable<string> libraries) => $"""
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <OutputType>Exe</OutputType>
            <TargetFramework>net10.0</TargetFramework>
            <ImplicitUsings>enable</ImplicitUsings>
            <Nullable>enable</Nullable>
            <CreateHardLinksForCopyLocalIfPossible>true</CreateHardLinksForCopyLocalIfPossible>
            <CreateHardLinksForPublishFilesIfPossible>true</CreateHardLinksForPublishFilesIfPossible>
          </PropertyGroup>
          <ItemGroup>
            {string.Concat(libraries.Concat(["LowRank.Cpu", "LowRank.Embedded"]).Select(library =>
                $"<PackageReference Include=\"{library}\" Version=\"{DeployedProgram.Version}\" />"))}
          </ItemGroup>
        </Project>
        """;
}
