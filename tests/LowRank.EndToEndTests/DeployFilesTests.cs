using System.Text.RegularExpressions;
using k8s;
using k8s.Models;

namespace LowRank.EndToEndTests;

/// <summary>The examples in deploy/: what runs them is not here, but their own readers and this program's options
/// are.</summary>
public sealed partial class DeployFilesTests
{
    private const string Container = "deploy/Dockerfile", Cluster = "deploy/kubernetes.yaml",
        Unit = "deploy/lowrank.service", Analyzer = "/usr/bin/systemd-analyze";

    private static readonly Lazy<string> Help = new(() => CommandLine.Run("serve", "--help").Succeeded().Output);

    // Fields that Kubernetes does not know are errors of its client.
    private static List<object> Objects =>
        KubernetesYaml.LoadAllFromString(RepositoryFiles.Read(Cluster), typeMap: null, strict: true);

    private static V1Deployment Deployment => Assert.Single(Objects.OfType<V1Deployment>());

    private static V1Container Program => Assert.Single(Deployment.Spec.Template.Spec.Containers);

    [Theory]
    [InlineData(Container)]
    [InlineData(Cluster)]
    [InlineData(Unit)]
    public void Options_are_those_of_the_command(string file)
    {
        string[] given = [.. Option().Matches(Arguments(file)).Select(match => match.Value)];
        Assert.NotEmpty(given);
        Assert.All(given, option => Assert.Matches($"""\s{option}\b""", Help.Value));
    }

    [Fact]
    public void Objects_of_the_cluster_fit_each_other()
    {
        V1Deployment deployment = Deployment;
        V1Service service = Assert.Single(Objects.OfType<V1Service>());
        V2HorizontalPodAutoscaler scaler = Assert.Single(Objects.OfType<V2HorizontalPodAutoscaler>());
        Assert.Equal(3, Objects.Count);
        Assert.Equal(deployment.Spec.Selector.MatchLabels, deployment.Spec.Template.Metadata.Labels);
        Assert.Equal(service.Spec.Selector, deployment.Spec.Template.Metadata.Labels);
        Assert.Equal((deployment.Kind, deployment.Metadata.Name),
            (scaler.Spec.ScaleTargetRef.Kind, scaler.Spec.ScaleTargetRef.Name));
        V1ContainerPort port = Assert.Single(Program.Ports);
        Assert.Equal($"{port.ContainerPort}", Value(RepositoryFiles.Read(Container), "--port"));
        Assert.Equal(port.Name, Assert.Single(service.Spec.Ports).TargetPort.Value);
        foreach ((V1Probe probe, string route) in new[]
            { (Program.LivenessProbe, "/health"), (Program.ReadinessProbe, "/ready") })
            Assert.Equal((route, port.Name), (probe.HttpGet.Path, probe.HttpGet.Port.Value));
        Assert.Equal(Program.VolumeMounts.Select(mount => mount.Name).Order(),
            deployment.Spec.Template.Spec.Volumes.Select(volume => volume.Name).Order());
        string metric = Assert.Single(scaler.Spec.Metrics).Pods.Metric.Name;
        Assert.Contains($"\"{metric}\"", RepositoryFiles.Read("src/LowRank.Server/Observability/MetricsPage.cs"),
            StringComparison.Ordinal);
        Assert.True(deployment.Spec.Template.Spec.TerminationGracePeriodSeconds
            > new LowRank.Server.ServerOptions("a").DrainTime.TotalSeconds);
    }

    // Files are named where their volumes are mounted.
    [Fact]
    public void What_the_container_is_told_to_read_is_mounted()
    {
        string[] mounted = [.. Program.VolumeMounts.Select(mount => mount.MountPath + "/")];
        string[] paths = [.. Path().Matches(string.Join('\n', Program.Args)).Select(match => match.Value)];
        Assert.Equal(4, paths.Length);
        Assert.All(paths, path => Assert.Contains(mounted, path.StartsWith));
    }

    [Fact]
    public void The_container_builds_what_is_here_on_images_of_its_own_version()
    {
        string file = RepositoryFiles.Read(Container);
        string project = Regex.Match(file, "dotnet publish (?<project>[^ ]+)").Groups["project"].Value;
        string[] projects = Directory.GetFiles(System.IO.Path.Combine(CommandLine.Repository, project), "*.csproj");
        string program = System.IO.Path.GetFileNameWithoutExtension(Assert.Single(projects));
        Assert.Contains($"\"dotnet\", \"{program}.dll\", \"serve\"", file, StringComparison.Ordinal);
        string version = $"{Environment.Version.Major}.{Environment.Version.Minor}";
        Assert.Equal([$"sdk:{version}", $"aspnet:{version}"],
            Image().Matches(file).Select(match => match.Groups["image"].Value));
    }

    [Fact]
    public void Systemd_understands_the_unit()
    {
        Assert.SkipUnless(File.Exists(Analyzer), "needs systemd-analyze");
        using var folder = new TemporaryFolder();
        string unit = folder["lowrank.service"], text = RepositoryFiles.Read(Unit);
        File.WriteAllText(unit, text.Replace("/usr/local/bin/lowrank", "/bin/true", StringComparison.Ordinal));
        Assert.Equal("", Verified(unit).Trim());
        File.WriteAllText(unit, text.Replace("ProtectHome", "ProtectHouse", StringComparison.Ordinal));
        Assert.Contains("ProtectHouse", Verified(unit), StringComparison.Ordinal);
    }

    private static string Verified(string unit)
    {
        CommandResult result = CommandLine.RunOther(Analyzer, "verify", unit);
        return result.Output + result.Error;
    }

    // The part of a file that starts the command.
    private static string Arguments(string file) => file == Cluster ? string.Join('\n', Program.Args)
        : Regex.Match(RepositoryFiles.Read(file), @"^(ENTRYPOINT|ExecStart)(.*\\\n)*.*$",
            RegexOptions.Multiline | RegexOptions.ExplicitCapture).Value;

    private static string Value(string file, string option) =>
        Regex.Match(file, $"\"{option}\", \"(?<value>[^\"]+)\"").Groups["value"].Value;

    [GeneratedRegex("--[a-z][a-z-]+")]
    private static partial Regex Option();

    [GeneratedRegex(@"(?<==)/[^\s=]+")]
    private static partial Regex Path();

    [GeneratedRegex(@"^FROM mcr\.microsoft\.com/dotnet/(?<image>\S+)",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Image();
}
