# $1: a URL or a path of a .deb file. $2: `check` to look only, else `install`. $3: whether older versions may be put in.
# The rest: the command that installs, without the file's name. Says `=same`, or `=new NAME VERSION`.
where=$1 how=$2 older=$3; shift 3
file=$where
case $where in
  http://* | https://* | ftp://*)
    folder=$(mktemp -d) || exit 1
    trap 'rm -rf "$folder"' EXIT
    chmod 0755 "$folder"
    file=$folder/package.deb
    if command -v curl >/dev/null 2>&1; then curl -fsSL --retry 2 -o "$file" -- "$where" || exit 2
    elif command -v wget >/dev/null 2>&1; then wget -q -O "$file" -- "$where" || exit 2
    else echo "neither curl nor wget is there to fetch $where: install one of them first" >&2; exit 2; fi
    chmod 0644 "$file" ;;
esac
[ -f "$file" ] || { echo "there is no file $file on the host" >&2; exit 3; }
name=$(dpkg-deb -f "$file" Package) && version=$(dpkg-deb -f "$file" Version) && arch=$(dpkg-deb -f "$file" Architecture) || exit 4
[ "$arch" = all ] && arch=
now=$(dpkg-query -W -f='${db:Status-Status} ${Version}' "$name${arch:+:$arch}" 2>/dev/null)
case $now in
  "installed $version") echo "=same $name $version"; exit 0 ;;
  "installed "*)
    if dpkg --compare-versions "${now#installed }" gt "$version" && [ "$older" != yes ]; then
      echo "=newer $name ${now#installed }"; exit 5
    fi ;;
esac
echo "=new $name $version"
[ "$how" = check ] && exit 0
"$@" "$file"
